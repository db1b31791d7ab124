"""The choice of tiles for any queue, and over long runs."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batching.policy import Account, Policy, View, Waiting, choose, megapixels
from pipeline.batching.shares import Shares
from pipeline.batching.work import BatchKey
from schemas.topics import Lane

KEYS = [BatchKey("general", 256, 256), BatchKey("general", 512, 512), BatchKey("anime", 256, 256)]
TENANTS = ["acme", "zeta", "omega"]

policies = st.builds(Policy, st.sampled_from([0.0, 0.1, 0.5, 0.9]), st.integers(0, 3), st.sampled_from([0.0, 1.0, 1e9]))
limits = st.fixed_dictionaries({key: st.integers(1, 8) for key in KEYS})
accounts = st.tuples(st.sampled_from(Lane), st.sampled_from(TENANTS))


@st.composite
def views(draw: st.DrawFn) -> View:
    works = draw(
        st.lists(
            st.builds(
                Waiting,
                ticket=st.integers(0, 10_000),
                key=st.sampled_from(KEYS),
                lane=st.sampled_from(Lane),
                tenant=st.sampled_from(TENANTS),
                remaining=st.integers(1, 12),
                arrived=st.floats(0, 100),
                deadline=st.none() | st.floats(0, 200),
            ),
            max_size=12,
            unique_by=lambda work: work.ticket,
        )
    )
    served = draw(st.dictionaries(accounts, st.floats(0, 100)))
    return View(tuple(works), served, draw(st.floats(-8, 8)), draw(limits), draw(st.floats(0, 200)))


@given(views(), policies)
@settings(deadline=None)
def test_choice_is_as_full_as_the_waiting_tiles_of_its_key_allow(view: View, policy: Policy) -> None:
    """One key, never above its limit, never more tiles of a work than it has, and no slot empty while one would fit."""
    launch = choose(view, policy)
    assert (launch is None) == (not view.waiting)
    if launch is None:
        return
    works = {work.ticket: work for work in view.waiting}
    assert {works[ticket].key for ticket in launch.tiles} == {launch.key}
    assert all(1 <= tiles <= works[ticket].remaining for ticket, tiles in launch.tiles.items())
    available = sum(work.remaining for work in view.waiting if work.key == launch.key)
    assert sum(launch.tiles.values()) == min(available, view.limits[launch.key])


@given(views(), policies, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_choice_does_not_depend_on_the_order_of_the_queue(view: View, policy: Policy, random: object) -> None:
    """The same works in another order give the same launch."""
    shuffled = list(view.waiting)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose(replace(view, waiting=tuple(shuffled)), policy) == choose(view, policy)


class Run:
    """A device that launches choice after choice, a fiftieth of a second each, from a queue the test refills."""

    def __init__(self, policy: Policy, limits: dict[BatchKey, int]) -> None:
        self.policy, self.limits = policy, limits
        self.works: dict[int, Waiting] = {}
        self.shares = Shares()
        self.given: Counter[Account] = Counter()
        self.credit = self.now = 0.0
        self.tickets = 0

    def add(self, key: BatchKey, lane: Lane, tenant: str, tiles: int) -> int:
        self.tickets += 1
        self.works[self.tickets] = Waiting(self.tickets, key, lane, tenant, tiles, self.now)
        self.shares.arrive((lane, tenant))
        return self.tickets

    def refill(self, lane: Lane, kinds: list[tuple[BatchKey, int]]) -> None:
        """See to it that the class has enough tiles of each key, so that it never lacks them for what it is owed."""
        for key, tiles in kinds:
            while sum(work.remaining for work in self.works.values() if (work.lane, work.key) == (lane, key)) < 8:
                self.add(key, lane, TENANTS[self.tickets % 3], tiles)

    def forget(self, ticket: int) -> None:
        work = self.works.pop(ticket)
        self.shares.leave((work.lane, work.tenant))

    def step(self) -> None:
        view = View(tuple(self.works.values()), self.shares.served, self.credit, self.limits, self.now)
        launch = choose(view, self.policy)
        assert launch is not None
        self.credit = launch.bulk_credit
        self.now += 0.02
        for ticket, tiles in launch.tiles.items():
            self._give(self.works[ticket], tiles)

    def _give(self, work: Waiting, tiles: int) -> None:
        account = work.lane, work.tenant
        self.given[account] += tiles
        self.shares.charge(account, tiles * megapixels(work.key))
        self.works[work.ticket] = replace(work, remaining=work.remaining - tiles)
        if work.remaining == tiles:
            del self.works[work.ticket]
            self.shares.leave(account)

    def tiles_of(self, lane: Lane) -> int:
        return sum(tiles for (each, _), tiles in self.given.items() if each is lane)


kinds = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 20)), min_size=1, max_size=4)


@given(limits, st.sampled_from([0.05, 0.1, 0.3, 0.7]), st.integers(0, 2), kinds, kinds)
@settings(max_examples=30, deadline=None)
def test_bulk_gets_its_share_under_endless_interactive_work(
    limits: dict[BatchKey, int],
    share: float,
    ahead: int,
    interactive: list[tuple[BatchKey, int]],
    bulk: list[tuple[BatchKey, int]],
) -> None:
    """Whatever both send, and after any time alone, bulk falls behind its share by what was held against it only."""
    run = Run(Policy(bulk_share=share, bulk_ahead_launches=ahead), limits)
    for _ in range(20):
        run.refill(Lane.BULK, bulk)
        run.step()
    run.given.clear()
    for _ in range(200):
        run.refill(Lane.BULK, bulk)
        run.refill(Lane.INTERACTIVE, interactive)
        run.step()
        owed = share * run.given.total()
        assert run.tiles_of(Lane.BULK) >= owed - (ahead + 1) * max(limits.values()) - 1.001


@given(limits, st.lists(st.tuples(st.sampled_from(KEYS), st.integers(1, 30)), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_tenants_that_always_wait_are_served_alike(
    limits: dict[BatchKey, int], habits: list[tuple[BatchKey, int]]
) -> None:
    """However large their works and tiles, megapixels served differ by two launches at most."""
    run = Run(Policy(), limits)
    largest = max(limits[key] * megapixels(key) for key in KEYS)
    for _ in range(200):
        for tenant, (key, tiles) in zip(TENANTS, habits, strict=True):
            # Always more than a launch, so that nobody is given slots only because another lacks tiles.
            while sum(work.remaining for work in run.works.values() if work.tenant == tenant) <= limits[key]:
                run.add(key, Lane.INTERACTIVE, tenant, tiles)
        run.step()
        served = [run.shares.served[Lane.INTERACTIVE, tenant] for tenant in TENANTS]
        assert max(served) - min(served) <= 2 * largest


@given(st.integers(1, 8), st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(Lane), limits)
@settings(max_examples=40, deadline=None)
def test_no_work_starves_behind_newcomers(
    tiles: int, key: BatchKey, theirs: BatchKey, lane: Lane, limits: dict[BatchKey, int]
) -> None:
    """A long work ends although a new tenant and its own tenant send single tiles for ever, faster than the device."""
    run = Run(Policy(aging_tiles_per_second=50.0), limits)
    victim = run.add(key, lane, "acme", tiles)
    for turn in range(2000):
        if victim not in run.works:
            return
        for _ in range(limits[theirs]):
            run.add(theirs, Lane.INTERACTIVE, f"new-{turn}", 1)
            run.add(theirs, lane, "acme", 1)
        while len(run.works) > 12:
            run.forget(max(ticket for ticket in run.works if ticket != victim))
        run.step()
    raise AssertionError(f"still {run.works[victim].remaining} of {tiles} tiles after 2000 launches")

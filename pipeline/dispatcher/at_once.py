"""New deliveries that whoever plans them attempts at once: written down as claimed, they need not be looked for.

Only those that there is a place for and whose endpoint is well; the others are claimed in their turn.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.dispatcher.attempts import Keys
from pipeline.dispatcher.plan import Planned
from pipeline.state import deliveries, signing_keys
from pipeline.state.database import Connection
from pipeline.state.records import DeliveryState, Endpoint, PendingDelivery


@dataclass(frozen=True, slots=True)
class Hands:
    """What attempts at once act through: `Attempts`, as its owner sees it."""

    reserve: Callable[[Endpoint], bool]
    """A place for one more delivery, if there is one and the endpoint is well."""
    give_up: Callable[[Endpoint], None]
    """A place that was reserved is not needed."""
    begin: Callable[[Sequence[tuple[PendingDelivery, Keys]]], None]
    """Attempt these, a place reserved for each."""
    lease_seconds: float
    """How long a claim is ours."""


@dataclass(slots=True)
class AtOnce:
    """What one transaction plans. Once it is kept call `begin`, and `give_up` when it is not."""

    hands: Hands
    _reserved: list[Planned] = field(default_factory=list)
    _ready: list[tuple[PendingDelivery, Keys]] = field(default_factory=list)

    async def plan(self, connection: Connection, planned: Iterable[Planned], now: float) -> None:
        """Write down what is new. Raises as the database does."""
        others = []
        for each in planned:
            if each.delivery.state is DeliveryState.PENDING and self.hands.reserve(each.endpoint):
                self._reserved.append(each)
            else:
                others.append(each.delivery)
        ours = [each.delivery for each in self._reserved]
        new = await deliveries.plan(connection, ours, now + self.hands.lease_seconds)
        await deliveries.plan(connection, others)
        theirs = {each.endpoint.id: each.endpoint for each in self._reserved}
        keys = await signing_keys.keys_of(connection, theirs.values(), now) if theirs else {}
        self._ready = [
            (first_attempt(each), keys[each.endpoint.id]) for each in self._reserved if each.delivery.id in new
        ]

    def begin(self) -> None:
        """Attempt what was new."""
        ready = {delivery.id for delivery, _ in self._ready}
        for each in self._reserved:
            if each.delivery.id not in ready:
                self.hands.give_up(each.endpoint)
        self.hands.begin(self._ready)

    def give_up(self) -> None:
        """Nothing was kept."""
        for each in self._reserved:
            self.hands.give_up(each.endpoint)


def first_attempt(planned: Planned) -> PendingDelivery:
    """What was planned, as if it had been claimed."""
    delivery = planned.delivery
    return PendingDelivery(
        id=delivery.id,
        message_id=delivery.message_id,
        endpoint=planned.endpoint,
        event=delivery.event,
        url=delivery.url,
        body=delivery.body,
        created_at=delivery.created_at,
        attempts=0,
        once=delivery.once,
    )

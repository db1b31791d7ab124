"""Where a dead letter goes, as what, and how fast."""

from aiokafka import TopicPartition

from pipeline.kafka.parked import Origin, Place
from pipeline.kafka.replay import Pace, Stays, back, destination, spans
from pipeline.kafka.scan import Span
from schemas import topics
from schemas.topics import Lane, declare
from tests.support.parked import make_letter, make_record
from tests.support.requests import APPENDED

TOPICS = declare()


def came_from(topic: str) -> Origin:
    return Origin(topic, 0, 8, APPENDED)


def test_letter_goes_to_the_request_topic_of_its_lane() -> None:
    """Also when it came off a retry topic: it has waited for long enough."""
    for lane in Lane:
        for topic in (TOPICS.requests[lane], *TOPICS.retries[lane]):
            assert destination(make_letter(origin=came_from(topic.name)), TOPICS) == TOPICS.requests[lane].name


def test_letter_whose_topic_is_none_of_ours_stays() -> None:
    """Nothing is sent where nobody reads it as what it is."""
    assert isinstance(destination(make_letter(origin=None), TOPICS), Stays)
    assert destination(make_letter(origin=came_from(TOPICS.events.name)), TOPICS) == Stays(
        "it came from upscale.events, which is no topic of requests here"
    )


def test_letter_goes_back_with_its_senders_headers_and_one_more_generation() -> None:
    """What parking and trying added is gone; where it lay first is kept."""
    ours = ((topics.ATTEMPT, b"3"), (topics.REPLAY, b"1"), (topics.DEAD_LETTER_REASON, b"internal"))
    headers = back(make_letter(origin=came_from("requests")), make_record(headers=(("theirs", b"1"), *ours)))
    assert headers == (("theirs", b"1"), (topics.ORIGIN, b"requests/0/8"), (topics.REPLAY, b"2"))


def test_letter_played_again_twice_is_still_named_after_its_first_place() -> None:
    """A request without an id stays the same job however often it moves."""
    first = back(make_letter(origin=came_from("requests")), make_record())
    second = back(make_letter(origin=Origin("requests", 0, 500, APPENDED)), make_record(headers=first))
    assert dict(second)[topics.ORIGIN] == b"requests/0/8"


def test_spans_reach_from_the_first_to_the_last_letter_of_each_partition() -> None:
    """No more is read than lies between them."""
    assert spans("dead", [Place(0, 9), Place(0, 4), Place(1, 2)]) == {
        TopicPartition("dead", 0): Span(4, 10),
        TopicPartition("dead", 1): Span(2, 3),
    }


class Clock:
    """Time that moves by sleeping, or when told."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


async def test_pace_spreads_turns_evenly_and_makes_up_for_none() -> None:
    """A pause of the broker is not followed by a burst."""
    clock = Clock()
    pace = Pace(2, clock.now, clock.sleep)
    times = []
    for turn in range(5):
        if turn == 3:
            clock.time += 10
        await pace.turn()
        times.append(clock.time - 100)
    assert times == [0, 0.5, 1, 11, 11.5]


async def test_pace_without_a_rate_never_waits() -> None:
    """As fast as it goes."""
    clock = Clock()
    pace = Pace(None, clock.now, clock.sleep)
    for _ in range(5):
        await pace.turn()
    assert clock.time == 100

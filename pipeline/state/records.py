"""What other rooms may know of the database: types only. Times are Unix seconds, UTC."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.callbacks import WebhookEvent


class EndpointKind(StrEnum):
    """How we came to know an endpoint."""

    REGISTERED = "registered"  # by its tenant, for all of the tenant's jobs
    REQUEST = "request"  # from the requests of one tenant that name URLs of one origin


class Outcome(StrEnum):
    """How one attempt ended; the word in the delivery log and in the metric."""

    DELIVERED = "delivered"  # 2xx
    REFUSED = "refused"  # a status that is neither 2xx nor one of the following
    REDIRECTED = "redirected"  # 3xx, which is never followed
    GONE = "gone"  # 410
    THROTTLED = "throttled"  # 429
    UNAVAILABLE = "unavailable"  # 5xx
    TIMEOUT = "timeout"  # no whole answer within the deadline
    UNREACHABLE = "unreachable"  # no connection, or one that broke before the answer
    TLS = "tls"  # it did not prove its identity
    OVERSIZED = "oversized"  # 2xx with a longer answer than we take
    PROTOCOL = "protocol"  # what it sent is not HTTP
    BLOCKED = "blocked"  # its address may not be connected to; no connection was made


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"  # to be attempted when it is due
    DELIVERED = "delivered"
    ABANDONED = "abandoned"  # not attempted any more, until somebody asks for it


class Reason(StrEnum):
    """Why a delivery was abandoned."""

    EXHAUSTED = "exhausted"  # all attempts of the schedule failed
    GONE = "gone"  # the receiver answered 410
    SUPERSEDED = "superseded"  # progress that nobody needs to hear late
    DISABLED = "disabled"  # the endpoint is disabled; the delivery is kept for it


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint has been doing."""

    failures_in_row: int = 0
    """Failed attempts since the last success."""
    failing_since: float | None = None
    """When the first of them was."""
    held_until: float = 0.0
    """No attempt is made before; the circuit breaker's."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver: registered, or the origin of the URLs that a tenant's requests name."""

    id: str
    tenant: str
    kind: EndpointKind
    url: str
    """Where it is called; of kind `request`, scheme, host and port alone."""
    host: str
    """Lower case; what several endpoints may share."""
    events: tuple[WebhookEvent, ...] | None
    """What it is called for; None is every terminal event."""
    payload: str
    """Shape of the body."""
    created_at: float
    disabled_at: float | None = None
    disabled_reason: str | None = None
    """`gone`, `failing`, or `owner`."""
    health: Health = Health()


class KeyKind(StrEnum):
    """How deliveries are signed."""

    HMAC = "v1"  # HMAC-SHA256 with a shared secret
    ED25519 = "v1a"  # ed25519 with a private key


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of an endpoint, or of a tenant for the endpoints of its requests."""

    kind: KeyKind
    secret: bytes
    """24 to 64 random bytes for HMAC; the 32 bytes of an ed25519 seed."""
    created_at: float
    expires_at: float | None = None
    """Set once it has been replaced; until then both sign."""


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One message to one endpoint, written down before anything is sent. Its id makes a repeat recognisable."""

    id: str
    """Derived from message and endpoint."""
    message_id: str
    """The `webhook-id`: the same for every attempt, and for all endpoints."""
    endpoint_id: str
    tenant: str
    job_id: str | None
    event: WebhookEvent
    url: str
    """Where exactly it goes, query included."""
    body: bytes
    """What is sent and signed, on every attempt the same."""
    created_at: float
    """When the event happened."""
    due_at: float
    once: bool = False
    """A single attempt: what it says is soon out of date."""
    state: DeliveryState = DeliveryState.PENDING
    reason: Reason | None = None
    """With state `abandoned`."""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery that this dispatcher has claimed for one attempt."""

    id: str
    message_id: str
    endpoint: Endpoint
    event: WebhookEvent
    url: str
    body: bytes
    created_at: float
    attempts: int
    """Made so far in this round of the schedule."""
    once: bool
    earlier: int = 0
    """Made in the rounds before, each of which ended when somebody asked for the delivery again."""

    @property
    def number(self) -> int:
        """Of the attempt that it is claimed for: the first is 1, and no round begins anew."""
        return self.earlier + self.attempts + 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt."""

    outcome: Outcome
    status: int | None
    """HTTP status, when there was one."""
    retry_after: float | None
    """Seconds that the receiver asked us to stay away."""
    started_at: float
    seconds: float
    """From the first thing done for it to the last byte read."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Nothing is left to do."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again."""

    at: float


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Do not try again."""

    reason: Reason


Next = Delivered | RetryAt | Abandoned


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt and what follows from it, to be written down."""

    delivery: PendingDelivery
    answer: Answer
    next: Next

"""The exceptions of the program. Foreign exceptions are translated at the adapter that met them, nowhere else.

PipelineError
├── JobFailed            one job ends as `upscale.failed`; carries a code of schemas/failures.py
│   └── JobExpired       ... or as `upscale.expired`
├── CalledOff            ... or as `upscale.canceled`
├── ShuttingDown         the work was given up because the program stops; its record stays uncommitted
│   └── DeviceDied       ... because its device died, and maybe of this work
├── ServiceUnreachable   the program cannot start or go on; its text is for the operator
├── ServiceRefused       the same, when the service answers but will not work with us as we are set up
├── StateUnavailable     the database did not do it this time; the same may succeed soon
└── CannotListen         a port of ours is taken or not ours to take; its text is for the operator
"""

from collections.abc import Mapping

from schemas.failures import FAILURES, FailureCode, FailureKind

Detail = str | int | float | bool | None


class PipelineError(Exception):
    """Anything this program raises on purpose."""


class JobFailed(PipelineError):
    """One job cannot be done.

    `message` names the field, the limit and the value for a person; `details` holds the same for a program.
    Neither may contain a path, an address, a secret or a library's own words.
    """

    def __init__(self, code: FailureCode, message: str, details: Mapping[str, Detail] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: dict[str, Detail] = dict(details or {})

    @property
    def kind(self) -> FailureKind:
        return FAILURES[self.code]


class JobExpired(JobFailed):
    """The deadline of the job passed before its result was stored."""

    def __init__(self, message: str = "the deadline passed before the result was stored") -> None:
        super().__init__(FailureCode.EXPIRED, message)


class CalledOff(PipelineError):
    """The caller wants no result any more."""


class ShuttingDown(PipelineError):
    """The work was not done because the program stops. Not the job's failure: it is done after redelivery."""


class DeviceDied(ShuttingDown):
    """The device died while the work was under way. Each such work may be what it died of."""


class ServiceUnreachable(PipelineError):
    """A service we depend on does not answer: what, at which address, and which setting changes that."""

    def __init__(self, service: str, address: str, setting: str, reason: str) -> None:
        super().__init__(f"cannot reach the {service} at {address}: {reason}; set {setting} to change the address")
        self.service = service
        self.address = address
        self.setting = setting


class ServiceRefused(PipelineError):
    """A service answers but not as we need it: which, at which address, what is wrong, and which setting to look at."""

    def __init__(self, service: str, address: str, setting: str, reason: str) -> None:
        super().__init__(f"the {service} at {address} cannot be used: {reason}; see {setting}")
        self.service = service
        self.address = address
        self.setting = setting


class StateUnavailable(PipelineError):
    """The database did not do what it was asked; nothing of it is kept, and the same may succeed soon.

    Raised while committing after a lost connection, it leaves open whether all of it is kept.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"the database is not available: {reason}")
        self.reason = reason


class CannotListen(PipelineError):
    """We cannot offer a service: which, at which address, why, and which setting changes that."""

    def __init__(self, service: str, host: str, port: int, setting: str, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port} for {service}: {reason}; set {setting} to another port")
        self.setting = setting

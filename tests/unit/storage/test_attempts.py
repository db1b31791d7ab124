import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from hypothesis import given
from hypothesis import strategies as st

from pipeline.settings import StoreSettings
from pipeline.storage.attempts import FIRST_DELAY_SECONDS, MAX_DELAY_SECONDS, attempt, delay
from pipeline.storage.s3_errors import Damaged, Meaning, meaning, status

SETTINGS = StoreSettings(attempts=3)


def client_error(code: str, http_status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": http_status}}, "PutObject")  # type: ignore[typeddict-item]


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_delay_stays_between_its_bounds(number: int, chance: float) -> None:
    """Never shorter than half the first delay, never longer than the longest."""
    assert FIRST_DELAY_SECONDS / 2 <= delay(number, chance) <= MAX_DELAY_SECONDS


def test_delay_doubles() -> None:
    """A store that stays away is asked less and less often."""
    assert [delay(number, 0) for number in (1, 2, 3, 4)] == [0.05, 0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("PreconditionFailed", 412), Meaning.EXISTS),
        (client_error("NoSuchKey", 404), Meaning.MISSING),
        (client_error("404", 404), Meaning.MISSING),
        (client_error("NoSuchUpload", 404), Meaning.MISSING),
        (client_error("NoSuchBucket", 404), Meaning.NO_BUCKET),
        (client_error("AccessDenied", 403), Meaning.FORBIDDEN),
        (client_error("403", 403), Meaning.FORBIDDEN),
        (client_error("InvalidAccessKeyId", 403), Meaning.CREDENTIALS),
        (client_error("SignatureDoesNotMatch", 403), Meaning.CREDENTIALS),
        (client_error("RequestTimeTooSkewed", 403), Meaning.CLOCK),
        (client_error("SlowDown", 503), Meaning.PASSING),
        (client_error("InternalError", 500), Meaning.PASSING),
        (client_error("TooManyRequests", 429), Meaning.PASSING),
        (client_error("ConditionalRequestConflict", 409), Meaning.PASSING),
        (client_error("BadDigest", 400), Meaning.PASSING),
        (client_error("InvalidRequest", 400), Meaning.REFUSED),
        (client_error("", 0), Meaning.REFUSED),
        (EndpointConnectionError(endpoint_url="x"), Meaning.PASSING),
        (TimeoutError(), Meaning.PASSING),
        (Damaged(), Meaning.PASSING),
        (NoCredentialsError(), Meaning.CREDENTIALS),
        (ParamValidationError(report="x"), Meaning.REFUSED),
    ],
)
def test_error_of_the_store_has_one_meaning(error: Exception, expected: Meaning) -> None:
    """Codes and transport errors fall into the few classes that decide what follows."""
    assert expected is meaning(error)


def test_status_is_zero_without_an_answer() -> None:
    """Only an answer has a status."""
    assert (status(client_error("SlowDown", 503)), status(TimeoutError())) == (503, 0)


async def test_passing_error_is_tried_again_until_it_passes() -> None:
    """Two failures and a success are a success."""
    outcomes = iter([TimeoutError(), client_error("SlowDown", 503), None])

    async def operation() -> str:
        if (error := next(outcomes)) is not None:
            raise error
        return "done"

    assert await attempt(operation, SETTINGS) == "done"


@pytest.mark.parametrize(
    ("error", "tries"), [(client_error("SlowDown", 503), 3), (client_error("AccessDenied", 403), 1)]
)
async def test_last_error_is_raised_after_as_many_tries_as_may_help(error: ClientError, tries: int) -> None:
    """A passing error uses all tries, another one only its first."""
    made = 0

    async def operation() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(ClientError) as raised:
        await attempt(operation, SETTINGS)
    assert raised.value is error
    assert tries == made


async def test_error_of_our_own_is_not_tried_again() -> None:
    """Only what a store may cause is repeated; a mistake of ours comes out at once."""

    async def operation() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        await attempt(operation, SETTINGS)

"""What `upscale doctor` makes of a check."""

import pytest

from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable
from pipeline.tools.ailing import Ailing
from pipeline.tools.doctor import finding

CURES = {
    ServiceUnreachable("broker", "127.0.0.1:9092", "UPSCALE_KAFKA__SERVERS", "refused"): "look elsewhere",
    ServiceRefused("store", "AWS", "UPSCALE_STORE__ACCESS_KEY", "no key"): "look elsewhere",
    Ailing("no bucket", "upscale bucket create"): "upscale bucket create",
    PipelineError("something else"): "",
}


@pytest.mark.parametrize("error", CURES, ids=lambda error: type(error).__name__)
async def test_cure_fits_what_is_wrong(error: Exception) -> None:
    """A service that is not there may be looked for in the wrong place; one that lacks something is the right one."""

    async def check() -> str:
        raise error

    found = await finding("store", check(), "look elsewhere")
    assert (found.ok, found.text, found.cure) == (False, str(error), CURES[error])  # type: ignore[index]

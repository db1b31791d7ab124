import pytest
from structlog.testing import capture_logs

from pipeline.dispatcher.app import warn_of_early_ends
from pipeline.settings import WebhookSettings


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        pytest.param({}, [], id="defaults"),
        pytest.param({"result_url_seconds": 259_200}, ["result_addresses_end_early"], id="three days of seven"),
        pytest.param({"result_url_seconds": 3600, "keep_seconds": 3600}, [], id="equal"),
        pytest.param({"result_url_seconds": 0}, [], id="none signed"),
    ],
)
def test_addresses_that_end_before_their_messages_may_be_sent_again_are_warned_of(
    settings: dict[str, object], warned: list[str]
) -> None:
    """With the defaults there are none."""
    with capture_logs() as lines:
        warn_of_early_ends(WebhookSettings.model_validate(settings))
    assert [line["event"] for line in lines] == warned

"""What an environment sets, and what in it is a mistake."""

import pytest

from pipeline.variables import Assignment, assignments

FIELDS = {
    "UPSCALE_KAFKA__SERVERS": ("kafka", "servers"),
    "UPSCALE_STORE__SECRET_KEY": ("store", "secret_key"),
    "UPSCALE_KAFKA__SSL_CA_FILE": ("kafka", "ssl_ca_file"),
}


def _wrong(**environment: str) -> list[str]:
    return assignments(environment, FIELDS)[1]


def test_variable_sets_its_field() -> None:
    """Case is forgiven; everything else of the environment is none of ours."""
    found, wrong = assignments({"upscale_kafka__servers": "a:1", "HOME": "/", "UPSCALER": "x"}, FIELDS)
    assert found == [Assignment("upscale_kafka__servers", "kafka", "servers", "a:1", in_file=False)]
    assert wrong == []


def test_file_suffix_names_a_file_unless_the_field_itself_ends_so() -> None:
    """`SSL_CA_FILE` is a field; `SSL_CA_FILE_FILE` would be the file that names it."""
    found, wrong = assignments({"UPSCALE_STORE__SECRET_KEY_FILE": "/s", "UPSCALE_KAFKA__SSL_CA_FILE": "/ca"}, FIELDS)
    assert [(each.field, each.text, each.in_file) for each in found] == [
        ("secret_key", "/s", True),
        ("ssl_ca_file", "/ca", False),
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("UPSCALE_KAKFA__SERVERS", "is not a setting; did you mean UPSCALE_KAFKA__SERVERS?"),
        ("UPSCALE_KAFKA_SERVERS", "is not a setting; did you mean UPSCALE_KAFKA__SERVERS?"),
        ("UPSCALE_STORE__SECRT_KEY", "is not a setting; did you mean UPSCALE_STORE__SECRET_KEY?"),
        ("UPSCALE_ZZ", "is not a setting"),
    ],
)
def test_misspelt_variable_is_refused_without_showing_its_value(name: str, told: str) -> None:
    """A setting that does nothing is the worst kind; its value may be a secret."""
    assert _wrong(**{name: "hunter2"}) == [f"{name}: {told}"]


def test_misspelt_variable_is_refused_even_when_empty() -> None:
    """Its value would be missed as soon as it has one."""
    assert len(_wrong(UPSCALE_KAFKA_SERVERS="")) == 1


def test_empty_value_counts_as_unset() -> None:
    """Compose passes `${NAME:-}` on as an empty text."""
    assert assignments({"UPSCALE_KAFKA__SERVERS": ""}, FIELDS) == ([], [])


def test_field_cannot_be_set_twice() -> None:
    """Which of the two would win would be a guess."""
    told = _wrong(UPSCALE_STORE__SECRET_KEY="a", UPSCALE_STORE__SECRET_KEY_FILE="/s")
    assert told == ["UPSCALE_STORE__SECRET_KEY_FILE: sets the same as UPSCALE_STORE__SECRET_KEY"]


@pytest.mark.parametrize(
    ("name", "text", "refused"),
    [
        ("UPSCALE_SERVICE_HOST", "10.0.0.7", 0),
        ("UPSCALE_WORKER_SERVICE_PORT_HEALTH", "9100", 0),
        ("UPSCALE_PORT", "tcp://10.0.0.7:9100", 0),
        ("UPSCALE_PORT_9100_TCP_ADDR", "10.0.0.7", 0),
        ("UPSCALE_TELEMETRY_PORT", "9100", 1),
    ],
)
def test_what_kubernetes_sets_for_a_service_is_no_mistake(name: str, text: str, refused: int) -> None:
    """A Service named `upscale` must not keep every pod of its namespace from starting."""
    assert len(_wrong(**{name: text})) == refused

"""What is said where `upscale up` has left its variables and nobody has read them."""

from pathlib import Path

import pytest

from pipeline import environment
from pipeline.tools.unsourced import SCRIPT, hint


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder of `up`, whose name a shell takes apart unless it is quoted."""
    folder = tmp_path / "my state"
    folder.mkdir()
    (folder / SCRIPT).touch()
    return folder


def test_variables_that_were_not_read_are_pointed_at(state: Path) -> None:
    """Also where others of ours are set."""
    config = environment.load({"UPSCALE_DEVICE__DEVICE": "cpu"})
    assert hint(config, state) == f"to reach what `upscale up` runs here, `. '{state}/env'` first"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPSCALE_KAFKA__SERVERS", "kafka:9092"),
        ("UPSCALE_STORE__ENDPOINT", "http://store:8333"),
        ("UPSCALE_STATE__URL", "sqlite:///mine.db"),
    ],
)
def test_who_names_a_service_is_not_pointed_elsewhere(state: Path, name: str, value: str) -> None:
    assert hint(environment.load({name: value}), state) == ""


def test_nothing_is_pointed_at_where_up_never_ran(tmp_path: Path) -> None:
    assert hint(environment.load({}), tmp_path) == ""

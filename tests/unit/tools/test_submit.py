"""Guarantees of pipeline.tools.submit."""

import argparse
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.submit import Picture, add_options, named, options_of, target
from schemas.events import Provenance, ResultObject, UpscaleCompleted
from schemas.options import OutputFormat, UpscaleOptions

DONE = UpscaleCompleted(
    job_id="j1",
    result=ResultObject(url="s3://b/k", sha256="ab" * 32, size=1, format=OutputFormat.JPEG, width=30, height=30),
    provenance=Provenance(model="m", weights_sha256="cd" * 32, precision="fp32", version="1"),
    source_width=20,
    source_height=20,
    processing_seconds=1,
)


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(words)


def test_options_default_to_those_of_the_schema() -> None:
    """The command line and a bare event ask for the same."""
    assert options_of(parsed()) == UpscaleOptions()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--scale", "0"), "--scale: .* got 0"), (("--quality", "101"), "--quality: .* got 101")],
)
def test_options_that_cannot_be_are_told_by_their_argument(words: tuple[str, ...], said: str) -> None:
    """The person reads which argument, which limit and which value."""
    with pytest.raises(PipelineError, match=said):
        options_of(parsed(*words))


def test_missing_file_is_told_before_anything_is_contacted(tmp_path: Path) -> None:
    """A typing mistake costs nothing."""
    with pytest.raises(PipelineError, match="no such file"):
        named(str(tmp_path / "nothing.jpg"))


@pytest.mark.parametrize("name", ["https://example.com/a/cat.jpg?x=1", "s3://bucket/a/cat.jpg"])
def test_remote_picture_keeps_its_name(name: str) -> None:
    """The result is called after the picture, without the query."""
    assert named(name) == Picture(name, "cat", path=None)


def test_result_is_named_for_its_scale_and_never_overwrites(tmp_path: Path) -> None:
    """Running it again leaves the earlier result where it is."""
    picture = Picture("cat.jpg", "cat", None)
    first = target(tmp_path, picture, DONE)
    assert first == tmp_path / "cat_x1.5.jpg"
    first.touch()
    assert target(tmp_path, picture, DONE) == tmp_path / "cat_x1.5_j1.jpg"

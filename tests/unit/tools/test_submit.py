"""Guarantees of pipeline.tools.submit."""

import argparse
from pathlib import Path

import orjson
import pytest

from pipeline.errors import PipelineError
from pipeline.tools.submit import Picture, json_line, named, target, tenant_of
from tests.support.job_events import completed

DONE = completed()


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


def test_tenant_that_cannot_be_one_is_told_by_its_argument() -> None:
    """It becomes part of every key, so it is checked before anything is uploaded."""
    assert tenant_of(argparse.Namespace(tenant="acme")) == "acme"
    with pytest.raises(PipelineError, match=r"^--tenant: must match pattern .*, got '\.\./acme'$"):
        tenant_of(argparse.Namespace(tenant="../acme"))


def test_json_line_says_what_kind_of_event_it_is() -> None:
    """Nothing else on the line tells a completion from a failure but its fields."""
    line = json_line(DONE)
    assert "\n" not in line
    assert orjson.loads(line)["type"] == DONE.type
    assert orjson.loads(line)["job_id"] == DONE.job_id

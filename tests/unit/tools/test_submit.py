"""Guarantees of pipeline.tools.submit."""

import argparse
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.errand import Picture
from pipeline.tools.submit import named, tenant_of


def test_missing_file_is_told_before_anything_is_contacted(tmp_path: Path) -> None:
    """A typing mistake costs nothing."""
    with pytest.raises(PipelineError, match="no such file"):
        named(str(tmp_path / "nothing.jpg"))


def test_local_picture_is_called_as_it_was_named(tmp_path: Path) -> None:
    """Two files of one name, from two folders, are told apart."""
    path = tmp_path / "cat.png"
    path.touch()
    assert named(str(path)) == Picture(str(path), "cat", path)


@pytest.mark.parametrize("name", ["https://example.com/a/cat.jpg?x=1", "s3://bucket/a/cat.jpg"])
def test_remote_picture_keeps_its_name(name: str) -> None:
    """The result is called after the picture, without the query."""
    assert named(name) == Picture(name, "cat", path=None)


def test_tenant_that_cannot_be_one_is_told_by_its_argument() -> None:
    """It becomes part of every key, so it is checked before anything is uploaded."""
    assert tenant_of(argparse.Namespace(tenant="acme")) == "acme"
    with pytest.raises(PipelineError, match=r"^--tenant: must match pattern .*, got '\.\./acme'$"):
        tenant_of(argparse.Namespace(tenant="../acme"))

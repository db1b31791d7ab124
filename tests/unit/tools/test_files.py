"""Files and folders that a person names."""

import os
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.tools.files import check_readable, make_folder


def test_file_that_can_be_read_is_taken(tmp_path: Path) -> None:
    """An empty one too: what is in it is not judged here."""
    path = tmp_path / "empty.png"
    path.touch()
    check_readable(path)


def test_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    """A person sees which of many it is."""
    with pytest.raises(PipelineError, match=rf"^{tmp_path}/nothing.png: cannot be read: No such file or directory$"):
        check_readable(tmp_path / "nothing.png")


def test_file_on_a_failing_disk_is_refused_before_it_is_sent() -> None:
    """Opening succeeds there and reading does not; the kernel has a file that behaves so."""
    with pytest.raises(PipelineError, match="cannot be read: Input/output error"):
        check_readable(Path("/proc/self/mem"))


def test_folder_in_place_of_a_file_is_told_apart(tmp_path: Path) -> None:
    """The cure is another than for a file that is not there."""
    with pytest.raises(PipelineError, match="is a folder; name the pictures in it"):
        check_readable(tmp_path)


def test_pipe_in_place_of_a_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    """Its content can be read once only, and opening it would wait for a writer."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PipelineError, match="is not a plain file"):
        check_readable(tmp_path / "pipe")


def test_folder_is_made_with_those_above_it_or_left_as_it_is(tmp_path: Path) -> None:
    """Results of an earlier call stay."""
    made = make_folder(tmp_path / "out" / "today")
    (made / "cat.png").touch()
    assert make_folder(made) == made
    assert [path.name for path in made.iterdir()] == ["cat.png"]


def test_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    """A file of that name is in the way, at the end or above."""
    (tmp_path / "file").touch()
    with pytest.raises(PipelineError, match=rf"^{tmp_path}/file: must be a folder for results: File exists$"):
        make_folder(tmp_path / "file")
    with pytest.raises(PipelineError, match=r"file/out: must be a folder for results: Not a directory"):
        make_folder(tmp_path / "file" / "out")

"""What is said of the pictures of one call."""

from pathlib import Path

import orjson

from pipeline.tools.errand import Picture, json_line, still_open, target
from schemas.topics import declare
from tests.support.job_events import REJECTED, STARTED, completed

CAT = Picture("cat.jpg", "cat", None)
DONE = completed()


def test_result_is_named_for_its_scale_and_never_overwrites(tmp_path: Path) -> None:
    """Running it again leaves the earlier result where it is."""
    first = target(tmp_path, CAT, DONE)
    assert first == tmp_path / "cat_x1.5.jpg"
    first.touch()
    assert target(tmp_path, CAT, DONE) == tmp_path / "cat_x1.5_j1.jpg"


def test_json_line_says_what_kind_of_event_it_is_and_which_picture_it_is_about() -> None:
    """A program that gave names gets them back: it has never heard of the job's id."""
    line = json_line(STARTED, "cat.jpg", None)
    assert "\n" not in line
    said = orjson.loads(line)
    assert (said["type"], said["picture"], said["job_id"]) == (STARTED.type, "cat.jpg", STARTED.job_id)
    assert "path" not in said


def test_json_line_of_a_completed_job_says_where_its_result_was_saved() -> None:
    """The name depends on what was in the folder before, so nobody else can know it."""
    said = orjson.loads(json_line(DONE, "cat.jpg", Path("out/cat_x1.5.jpg")))
    assert (said["path"], said["result"]["url"]) == ("out/cat_x1.5.jpg", DONE.result.url)


def test_json_line_tells_a_rejected_webhook_as_an_event_of_its_own() -> None:
    """Whoever waits for the call would wait for ever."""
    said = orjson.loads(json_line(REJECTED, "cat.jpg", None))
    assert (said["type"], said["reason"], said["picture"]) == (REJECTED.type, "url_blocked", "cat.jpg")


def test_jobs_that_are_left_are_named_with_how_they_are_found_and_called_off() -> None:
    """They go on, and their ids were known to nobody else."""
    lines = still_open({"j1": CAT, "j2": Picture("dog.png", "dog", None)}, "acme", declare("images"))
    assert lines[1:3] == ["  j1  cat.jpg", "  j2  dog.png"]
    assert " images.events: " in lines[3]
    assert "io.upscale.cancel-requested.v1" in lines[4]
    assert lines[4].endswith(" the tenant acme on images.control calls one off")

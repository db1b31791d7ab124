"""What is said of the pictures of one call."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import orjson
import pytest

from pipeline.storage.transfer import TransferFailed
from pipeline.tools.errand import Asked, Errand, Picture, json_line, still_open, target
from pipeline.tools.session import Session, Told
from schemas.events import UpscaleCompleted, UpscaleRequested
from schemas.options import UpscaleOptions
from schemas.topics import Lane, declare
from tests.support.job_events import REJECTED, STARTED, completed

CAT = Picture("cat.jpg", "cat", None)
DOG = Picture("dog.png", "dog", None)
DONE = completed()


def test_result_is_named_for_its_scale_and_never_overwrites(tmp_path: Path) -> None:
    """Running it again leaves the earlier result where it is."""
    first = target(tmp_path, CAT, DONE)
    assert first == tmp_path / "cat_x1.5.jpg"
    first.touch()
    assert target(tmp_path, CAT, DONE) == tmp_path / "cat_x1.5_j1.jpg"


class Requester:
    """A conversation in which every job is done and the result of the first one is gone."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, request: UpscaleRequested, lane: Lane) -> None:
        self.asked.append(request.job_id)

    async def events(self, jobs: set[str]) -> AsyncIterator[Told]:
        for job_id in self.asked:
            yield DONE.model_copy(update={"job_id": job_id})

    async def download(self, event: UpscaleCompleted, path: Path) -> Path:
        if event.job_id == self.asked[0]:
            raise TransferFailed("there is no such object any more")
        return path


async def test_result_that_cannot_be_fetched_keeps_nobody_from_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said where it is, and of which job; the computation was not in vain."""
    errand, requester = Errand(Asked(UpscaleOptions(), "acme", Lane.BULK), tmp_path), Requester()
    ended = await errand.run(cast("Session", requester), [CAT, DOG])
    assert [each.result for each in ended] == [None, tmp_path / "dog_x1.5.jpg"]
    said = (
        f"cat.jpg: there is no such object any more; its result is {DONE.result.url}, of the job {requester.asked[0]}\n"
    )
    assert said in capsys.readouterr().out
    assert not errand.owed


@pytest.mark.parametrize("stem", ["n" * 250, "\N{CAT FACE}" * 62])
def test_result_of_a_long_name_has_one_that_a_file_can_have(tmp_path: Path, stem: str) -> None:
    """What is added to it must not be what makes it too long, which would be found out after the work."""
    picture = Picture("long.jpg", stem, None)
    for _ in range(2):
        path = target(tmp_path, picture, DONE)
        assert path.stem.startswith(stem[:40])
        assert not path.exists()
        path.touch()


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


def test_json_line_names_a_file_whose_name_is_no_text() -> None:
    assert orjson.loads(json_line(STARTED, os.fsdecode(b"caf\xe9.jpg"), None))["picture"] == "caf\ufffd.jpg"


def test_json_line_tells_a_rejected_webhook_as_an_event_of_its_own() -> None:
    """Whoever waits for the call would wait for ever."""
    said = orjson.loads(json_line(REJECTED, "cat.jpg", None))
    assert (said["type"], said["reason"], said["picture"]) == (REJECTED.type, "url_blocked", "cat.jpg")


def test_jobs_that_are_left_are_named_with_how_they_are_found_and_called_off() -> None:
    """They go on, and their ids were known to nobody else."""
    lines = still_open({"j1": CAT, "j2": DOG}, "acme", declare("images"))
    assert lines[1:3] == ["  j1  cat.jpg", "  j2  dog.png"]
    assert " images.events: " in lines[3]
    assert "io.upscale.cancel-requested.v1" in lines[4]
    assert lines[4].endswith(" the tenant acme on images.control calls one off")

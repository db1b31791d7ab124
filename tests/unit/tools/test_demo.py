"""The pure parts of `upscale demo`."""

from pathlib import Path

from PIL import Image

from pipeline.telemetry.scrape import Sample
from pipeline.tools.before_after import LARGEST_PIXELS
from pipeline.tools.demo import look_at, summary
from pipeline.tools.errand import Ended, Picture
from tests.support.job_events import completed, failed

CAT = Picture("cat.png", "cat", Path("cat.png"))


def test_summary_tells_how_much_was_done_in_which_time() -> None:
    """Pictures, megapixels before and after, seconds, and how full the launches were; failures count as not done."""
    ended = [
        Ended(CAT, completed(2000, 1500, scale=2), Path("cat_x2.png")),
        Ended(CAT, completed(2000, 500, scale=2), Path("cat_x2_.png")),
        Ended(CAT, failed(), None),
    ]
    counts = [Sample("upscale_batch_size_sum", {}, 21.0), Sample("upscale_batch_size_count", {}, 6.0)]
    assert summary(ended, 2.34, counts) == "2 of 3 pictures, 1.00 -> 4.00 megapixels in 2.3 s, 3.5 tiles per batch"


def test_summary_of_nothing_done_divides_by_nothing() -> None:
    """A demo in which every picture failed still ends with its line."""
    assert summary([Ended(CAT, failed(), None)], 0.5, []) == (
        "0 of 1 pictures, 0.00 -> 0.00 megapixels in 0.5 s, 0.0 tiles per batch"
    )


def test_result_is_shown_on_a_sheet_named_after_it(tmp_path: Path) -> None:
    """Results have names of their own, so two pictures of one name have two sheets."""
    before, after = tmp_path / "cat.png", tmp_path / "after" / "cat_x2.png"
    after.parent.mkdir()
    Image.new("RGB", (4, 4)).save(before)
    Image.new("RGB", (8, 8)).save(after)
    sheet = tmp_path / "cat_x2_before_after.png"
    assert look_at(before, after, completed(8, 8).result, tmp_path) == f"compare {sheet}"
    assert sheet.is_file()


def test_result_too_large_for_a_sheet_is_named_itself(tmp_path: Path) -> None:
    """A photograph of a camera, enlarged, is more than Pillow opens without complaint."""
    after = tmp_path / "cat_x4.png"
    large = completed(LARGEST_PIXELS // 1000 + 1, 1000).result
    assert look_at(tmp_path / "cat.png", after, large, tmp_path) == f"result  {after}"
    assert list(tmp_path.iterdir()) == []

"""What a person sees while pictures are upscaled."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.tools.display import Display, describe
from pipeline.tools.session import Told
from schemas.remarks import REMARKS, Remark
from tests.support.job_events import CANCELED, EXPIRED, JOB, REJECTED, STARTED, completed, failed, progress


def shown(*events: Told, name: str = "cat.png", terminal: bool = False) -> str:
    """All that is written for these events of one picture."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=100, legacy_windows=False)
    with Display(console) as display:
        display.asked(JOB, name)
        for event in events:
            display.show(event)
    return written.getvalue()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (STARTED, "started"),
        (progress(3, 8), "3 of 8 tiles"),
        (completed(300, 150), "200 x 100 -> 300 x 150 in 1.3 s"),
        (failed(), "failed: image_format_unsupported: source: is not a picture"),
        (EXPIRED, "expired: its deadline passed"),
        (CANCELED, "canceled"),
        (REJECTED, "webhook not called: webhook.url: it leads inside"),
    ],
)
def test_every_event_is_told_in_a_few_words(event: Told, words: str) -> None:
    """A person learns what happened, and why it did not."""
    assert describe(event) == words


def test_display_without_a_terminal_writes_a_line_for_each_start_and_end() -> None:
    """A log has no use for progress."""
    assert shown(STARTED, progress(1, 2), progress(2, 2), completed()) == (
        "cat.png: job j1\ncat.png: started\ncat.png: 20 x 20 -> 30 x 30 in 1.3 s\n"
    )


def test_display_on_a_terminal_ends_with_how_each_picture_ended() -> None:
    """The bar stays, with the last words beside it."""
    assert "cat.png" in shown(STARTED, progress(1, 2), completed(), terminal=True)
    assert "20 x 20 -> 30 x 30 in 1.3 s" in shown(STARTED, progress(1, 2), completed(), terminal=True)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    ("event", "line"),
    [
        (completed(warnings=("animation_dropped",)), f"cat.png: {REMARKS[Remark.ANIMATION_DROPPED]}\n"),
        (completed(warnings=("of_a_later_release",)), "cat.png: of_a_later_release\n"),
        (REJECTED, "cat.png: webhook not called: webhook.url: it leads inside\n"),
    ],
    ids=["warning", "unknown warning", "webhook"],
)
def test_what_did_not_prevent_the_result_has_a_line_of_its_own(event: Told, line: str, terminal: bool) -> None:
    """A bar's last words are of the end, and would cover it."""
    assert line in shown(STARTED, event, terminal=terminal)


def test_saved_result_is_told_with_its_path_as_it_is() -> None:
    """Its name depends on what was in the folder before."""
    written = io.StringIO()
    with Display(Console(file=written, width=20)) as display:
        display.asked(JOB, "cat.png")
        display.saved(JOB, Path("out/a long [red]name/cat_x4.png"))
    assert written.getvalue().splitlines()[1:] == ["cat.png -> out/a long [red]name/cat_x4.png"]


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", ["[/red].png", "[bold]cat.png", ":cat:.png"])
def test_display_writes_names_and_reasons_as_they_are(name: str, terminal: bool) -> None:
    """Brackets and colons in a name or a message are no markup: nothing vanishes, and nothing fails over them."""
    written = shown(failed(f"got '{name}'"), name=name, terminal=terminal)
    assert written.count(name) >= 2

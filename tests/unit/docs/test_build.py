"""Documentation that follows from the code is current, and says something about everything."""

import ast
import re
import shutil
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from docs.build import FOLDER, failures_page, main, settings_page, stale, with_examples
from pipeline.lifecycle import Exit
from pipeline.settings import Settings
from pipeline.telemetry import metrics
from pipeline.variables import environment
from schemas import codec
from schemas.events import UpscaleRequested
from schemas.examples import records
from schemas.failures import FailureCode
from schemas.remarks import REMARKS, Remark


def test_pages_are_current() -> None:
    """Code and page cannot drift apart unnoticed."""
    assert list(stale()) == [], "run python -m docs.build"


def test_check_names_what_is_stale_and_writing_cures_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate that says what to do, and can fail."""
    shutil.copy(FOLDER / "events.md", tmp_path)
    assert main(["--check"], tmp_path) == 1
    assert "docs/settings.md: not current" in capsys.readouterr().err
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    events = tmp_path / "events.md"
    events.write_text(events.read_text().replace("photo-desk", "photo-desc"))
    assert main(["--check"], tmp_path) == 1


def test_settings_page_lists_every_variable() -> None:
    """Also those that are unset by default."""
    page = settings_page()
    every = re.findall(r"`(UPSCALE_\w+__\w+)`", page)
    assert (
        len(every) == len(set(every)) == sum(len(type(f.default).model_fields) for f in Settings.model_fields.values())
    )
    assert set(environment(Settings())) <= set(every)


def test_failures_page_lists_every_code() -> None:
    """In the order of the path."""
    assert re.findall(r"^\| `(\w+)` ", failures_page(), re.MULTILINE) == list(FailureCode)


def test_events_page_shows_every_example() -> None:
    """Every event, and a request in each of its forms."""
    shown = re.findall(r"<!-- example: ([a-z.-]+) -->", (FOLDER / "events.md").read_text())
    assert sorted(shown) == sorted(records())


def test_events_page_explains_every_warning() -> None:
    """Each with a meaning of its own."""
    page = (FOLDER / "events.md").read_text()
    assert [word for word in Remark if f"| `{word}` | {REMARKS[word]} |" in page] == list(Remark)
    assert len(set(REMARKS.values())) == len(Remark)


def test_examples_are_put_between_their_marks_only() -> None:
    """What people wrote around them stays."""
    page = "a\n<!-- example: x -->\nold\n<!-- end -->\nb\n"
    assert with_examples(page, {"x": {"k": 1}}) == (
        'a\n<!-- example: x -->\n```json\n{\n  "k": 1\n}\n```\n<!-- end -->\nb\n'
    )


def test_operations_page_explains_every_exit_code() -> None:
    """A code that no page explains tells an operator nothing."""
    page = (FOLDER / "operations.md").read_text()
    assert {str(code.value) for code in Exit} <= set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE))


def test_operations_page_names_metrics_that_exist() -> None:
    """A query that finds nothing is worse than none."""
    assert metrics.__doc__
    known = {name for names in REGISTRY._collector_to_names.values() for name in names}
    assert set(re.findall(r"\bupscale_[a-z_]+", (FOLDER / "operations.md").read_text())) <= known


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda path: path.name)
def test_variables_named_in_a_page_exist(page: Path) -> None:
    """A setting that does nothing keeps the program from starting, so no page may name one."""
    known = set(re.findall(r"`(UPSCALE_\w+)`", settings_page()))
    assert set(re.findall(r"UPSCALE_[A-Z]+__[A-Z_]+", page.read_text())) <= known


def test_request_fields_of_the_events_page_are_those_of_the_model() -> None:
    """The table people copy from is complete."""
    page = (FOLDER / "events.md").read_text()
    asking = page[page.index("## Asking") : page.index("Name your jobs")]
    assert set(re.findall(r"^\| `(\w+)` ", asking, re.MULTILINE)) == set(UpscaleRequested.model_fields)


def test_events_page_explains_every_reason_of_the_codec() -> None:
    """An operator counts dead letters by these words."""
    calls = [node for node in ast.walk(ast.parse(Path(codec.__file__).read_text())) if isinstance(node, ast.Call)]
    raised = {
        argument.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in {"UndecodableEvent", "_refusal"}
        for argument in call.args
        if isinstance(argument, ast.Constant) and str(argument.value).isidentifier()
    }
    page = (FOLDER / "events.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", page[page.index("| reason |") :], re.MULTILINE))
    assert len(raised) >= 9
    assert listed - raised == {"not_understood", "not_settled"}, "those that the worker adds"
    assert raised - listed == set()

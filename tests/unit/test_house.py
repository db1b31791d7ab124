"""The rules of docs/architecture.md, checked: who imports whom, what is named how, and how large things grow."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from pipeline.telemetry import metrics
from schemas.stages import Stage

ROOT = Path(__file__).parents[2]
PIPELINE = ROOT / "pipeline"
MODULES = sorted([*PIPELINE.rglob("*.py"), *(ROOT / "schemas").rglob("*.py")])
PATHS = [path.relative_to(ROOT).as_posix() for path in MODULES]

STAGE_MODULES = {
    Stage.FETCH: "storage/fetch.py",
    Stage.DECODE: "imaging/decode.py",
    Stage.TILE: "imaging/tile.py",
    Stage.BATCH: "batching/batch.py",
    Stage.INFER: "gpu/infer.py",
    Stage.STITCH: "imaging/stitch.py",
    Stage.FACE: "gpu/face.py",
    Stage.ENCODE: "imaging/encode.py",
    Stage.STORE: "storage/store.py",
    Stage.PUBLISH: "kafka/publish.py",
    Stage.DELIVER: "dispatcher/deliver.py",
}
DATA_PATH_ROOMS = ("storage", "imaging", "batching", "gpu", "kafka", "dispatcher")

MOST_LINES = 300
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "misc"}
BASE_MODULES = (
    "schemas",
    "pipeline.kafka",
    "pipeline.storage",
    "pipeline.state",
    "pipeline.telemetry",
    "pipeline.lifecycle",
)
"""What processes without a device load: their image has none of the packages below."""
WORKER_PACKAGES = {"torch", "torchvision", "numpy", "cv2", "PIL", "realesrgan", "gfpgan", "basicsr", "facexlib"}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _reads_environment(path: Path) -> bool:
    """By `os.environ` and its like, or by importing them from there."""
    nodes = list(ast.walk(_tree(path)))
    by_name = (
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    )
    imported = (
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "os" for alias in node.names
    )
    return bool({"environ", "environb", "getenv"} & {*by_name, *imported})


def _prints(path: Path) -> bool:
    calls = (node.func for node in ast.walk(_tree(path)) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def test_imports_run_downwards() -> None:
    """Layers, and every library in its one room: the contracts in pyproject.toml, indirect imports included.

    In a process of its own, for the linter sets up logging for its whole process.
    """
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stage", Stage)
def test_stage_names_exactly_one_module(stage: Stage) -> None:
    """`stage=stitch` in a log line is the file to open."""
    found = [f"{room}/{stage}.py" for room in DATA_PATH_ROOMS if (PIPELINE / room / f"{stage}.py").exists()]
    assert found == [STAGE_MODULES[stage]]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.DELIVER])
def test_readme_shows_each_stage_of_a_picture_and_its_file(stage: Stage) -> None:
    """In its diagram, and in the table below."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    diagram = readme.split("```")[3]
    assert re.search(rf"\b{stage}\b", diagram)
    assert f"| {stage} | `pipeline/{STAGE_MODULES[stage]}` |" in readme


@pytest.mark.parametrize("path", MODULES, ids=PATHS)
def test_module_is_small(path: Path) -> None:
    """What does not fit is two things."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", PATHS)
def test_module_is_named_for_what_it_is_about(path: str) -> None:
    """A room called `utils` has no door that anything is turned away from."""
    assert not FORBIDDEN_NAMES & set(Path(path).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=PATHS)
def test_module_says_what_it_is_for(path: Path) -> None:
    """One sentence of its own."""
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize("path", MODULES, ids=PATHS)
def test_functions_say_what_they_return(path: Path) -> None:
    """The type on each edge is the design."""
    assert [each.name for each in _functions(path) if each.returns is None] == []


def test_only_settings_reads_the_environment() -> None:
    """A variable that is read anywhere else is one that no reference lists."""
    assert [name for name, path in zip(PATHS, MODULES, strict=True) if _reads_environment(path)] == [
        "pipeline/environment.py"
    ]


def test_only_the_command_line_prints() -> None:
    """Everything else logs: one line, one format."""
    printing = [name for name, path in zip(PATHS, MODULES, strict=True) if _prints(path)]
    assert [name for name in printing if not name.startswith(("pipeline/tools/", "pipeline/__main__"))] == []


@pytest.mark.parametrize("package", BASE_MODULES)
def test_base_processes_load_no_worker_package(package: str) -> None:
    """The image of a process without a device does not contain torch; importing it there would fail."""
    script = (
        "import importlib, pkgutil, sys\n"
        f"top = importlib.import_module({package!r})\n"
        f"for found in pkgutil.walk_packages(getattr(top, '__path__', []), {package + '.'!r}):\n"
        "    importlib.import_module(found.name)\n"
        f"print(sorted({WORKER_PACKAGES!r} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_metrics_named_in_ops_exist() -> None:
    """A panel or an alert on a metric that nobody writes is silent for ever."""
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for folder in ("prometheus", "grafana")
        for path in (ROOT / "ops" / folder).rglob("*")
        if path.suffix in {".yml", ".yaml", ".json"}
        for name in re.findall(r"\bupscale_[a-z0-9_]+", path.read_text(encoding="utf-8"))
    }
    assert metrics.__doc__
    known = {name for names in REGISTRY._collector_to_names.values() for name in names}
    assert sorted(each for each in named if each[1] not in known) == []

"""`upscale up` as a process, with the tools that a person uses beside it.

One `up` lives a first life, whose facts are recorded, and a second one on the same folder, beside which tests run.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from PIL import Image

from pipeline import environment
from pipeline.storage import client as storage
from schemas.events import UpscaleCompleted
from schemas.topics import Lane, declare
from tests.support import foreign
from tests.support.commands import Commands, Ended, base_environment
from tests.support.deployment_local import MODEL, PATIENCE_SECONDS
from tests.support.images import make_pixels
from tests.support.streams import committed

pytestmark = [pytest.mark.integration, pytest.mark.weights]


@dataclass(frozen=True, slots=True)
class Up:
    """An `upscale up` that has said where everything is."""

    process: "subprocess.Popen[str]"
    said: str
    variables: dict[str, str]
    """What a shell has after reading the file that was written for it."""


@dataclass(frozen=True, slots=True)
class FirstLife:
    """What happened until the first `up` on a folder had ended."""

    said: str
    variables: dict[str, str]
    submitted: Ended
    examined: Ended
    another: Ended
    """A second `up` on the same folder meanwhile."""
    code: int
    left_behind: list[int]
    """Processes it had that outlived it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, results and the state of `up`."""
    folder = tmp_path_factory.mktemp("up")
    write_picture(folder / "cat.png")
    return folder


@pytest.fixture(scope="module")
def first_life(folder: Path, commands: Commands) -> FirstLife:
    """Start, use, interrupt."""
    with started(folder / "state") as up:
        submitted = submit(commands, up, folder / "first", folder / "cat.png")
        examined = commands.run("doctor", environment=up.variables)
        another = commands.run("up", "--state", str(folder / "state"), environment={})
        had = descendants(up.process.pid)
        up.process.send_signal(signal.SIGINT)
        code = up.process.wait(PATIENCE_SECONDS)
    assert len(had) >= 3
    left_behind = [pid for pid in had if Path(f"/proc/{pid}").exists()]
    return FirstLife(up.said, up.variables, submitted, examined, another, code, left_behind)


@pytest.fixture(scope="module")
def up(folder: Path, first_life: FirstLife) -> Iterator[Up]:
    """The second life, on the folder of the first."""
    assert first_life.code == 0
    with started(folder / "state") as up:
        yield up
        up.process.terminate()
        assert up.process.wait(PATIENCE_SECONDS) == 0


@contextmanager
def started(state: Path) -> Iterator[Up]:
    """An `up` of its own process that is ready; it ends with the block at the latest."""
    command = [sys.executable, "-m", "pipeline", "up", "--state", str(state)]
    with (
        (state.parent / f"{state.name}.err").open("w") as errors,
        subprocess.Popen(command, env=base_environment(), stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            said = ""
            while "upscale submit" not in said:
                line = process.stdout.readline()
                assert line, f"ended with {process.wait()} after saying {said!r}"
                said += line
            yield Up(process, said, sourced(state / "env"))
        finally:
            process.kill()


def sourced(script: Path) -> dict[str, str]:
    """The variables that a shell exports after reading `script`."""
    printed = subprocess.run(
        ["sh", "-c", '. "$1" && exec env -0', "sh", str(script)], env={}, capture_output=True, check=True, text=True
    )
    pairs = (pair.partition("=") for pair in printed.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("UPSCALE_")}


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for child in map(int, children) for each in (child, *descendants(child))]


def executable(pid: int) -> str:
    """Its file's name."""
    return Path(f"/proc/{pid}/exe").readlink().name


def write_picture(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(make_pixels(24, 24)).save(path)
    return path


def submit(commands: Commands, up: Up, output: Path, *words: Path | str) -> Ended:
    return commands.run("submit", *map(str, words), "-m", MODEL, "-o", str(output), environment=up.variables)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_up_says_where_everything_is(first_life: FirstLife, folder: Path) -> None:
    """Broker, store, worker and state, and what to type next."""
    lines = first_life.said.splitlines()
    assert [line.split()[0] for line in lines if line] == [
        "starting",
        "broker",
        "store",
        "worker",
        "webhooks",
        "state",
        "in",
    ]
    assert lines[-1] == f"in another terminal:  . {folder / 'state' / 'env'}  &&  upscale submit PICTURE"


def test_file_that_up_writes_lets_submit_upscale(first_life: FirstLife, folder: Path) -> None:
    """The command it proposes works as it stands."""
    assert first_life.submitted.code == 0
    name, result_path = folder / "cat.png", folder / "first" / "cat_x4.png"
    assert f"{name}: 24 x 24 -> 96 x 96 in" in first_life.submitted.out
    assert first_life.submitted.out.endswith(f"{name} -> {result_path}\n")
    with Image.open(result_path) as result:
        assert result.size == (96, 96)


def test_file_that_up_writes_lets_doctor_find_everything_well(first_life: FirstLife) -> None:
    """Doctor examines what `up` runs."""
    assert first_life.examined.code == 0
    assert {line.split()[0] for line in first_life.examined.out.splitlines()} == {"ok"}


def test_file_that_up_writes_is_its_owners_alone(first_life: FirstLife, folder: Path) -> None:
    """It holds the key of the store."""
    assert first_life.said
    assert (folder / "state" / "env").stat().st_mode & 0o777 == 0o600


def test_second_up_on_a_folder_is_refused_in_one_line(first_life: FirstLife, folder: Path) -> None:
    """It names the folder and what to do, and touches nothing: two stores on the same files would ruin both."""
    assert first_life.another.code == 1
    assert "broker " not in first_life.another.out
    assert first_life.another.err.startswith(f"upscale up: {folder / 'state'}: is in use by the process ")
    assert first_life.another.err.count("\n") == 1


def test_interrupted_up_ends_well_and_leaves_no_process_behind(first_life: FirstLife) -> None:
    """Ctrl-C is how it is meant to be stopped."""
    assert first_life.code == 0
    assert first_life.left_behind == []


@pytest.mark.parametrize(("program", "name"), [("tansu", "the embedded broker"), ("weed", "the embedded object store")])
def test_up_ends_when_a_server_of_it_has_died_and_says_which(tmp_path: Path, program: str, name: str) -> None:
    """A service manager starts it again; it does not stay as if all were well."""
    with started(tmp_path / "state") as up:
        [server] = [pid for pid in descendants(up.process.pid) if program in executable(pid)]
        os.kill(server, signal.SIGKILL)
        code = up.process.wait(PATIENCE_SECONDS)
    assert code == 1
    said = (tmp_path / "state.err").read_text()
    assert said.startswith(f"upscale up: {name} ended by itself with status -9; see {tmp_path / 'state'}/")


def test_up_is_found_where_it_was_by_who_has_read_the_file_before(up: Up, first_life: FirstLife) -> None:
    """A terminal goes on working over a restart: addresses and keys are the same."""
    assert up.variables == first_life.variables
    assert "was taken" not in up.said


async def test_up_finds_events_commits_and_objects_of_its_last_life(up: Up, folder: Path) -> None:
    """What was done stays done: the event is read again, its object is the one that was downloaded, and the request
    is not done a second time."""
    local = environment.load(up.variables)
    topics = declare(local.kafka.topic_prefix)
    events = foreign.read(local.kafka.servers, topics.events.name)
    completed = next(event for event in events if event.headers["ce_type"] == UpscaleCompleted.type)
    result = orjson.loads(completed.value)["result"]
    async with storage.connect(local.store) as store:
        bucket, _, key = result["url"].removeprefix("s3://").partition("/")
        answer = await store.s3.get_object(Bucket=bucket, Key=key)
        async with answer["Body"] as body:
            assert await body.read() == (folder / "first" / "cat_x4.png").read_bytes()
    commits = await committed(local.kafka, topics.requests[Lane.INTERACTIVE].name)
    assert sum(commits.values()) >= 1


def test_submit_keeps_results_of_the_same_name_apart(up: Up, commands: Commands, folder: Path) -> None:
    """Two pictures of one name, from two folders, are two results."""
    other = write_picture(folder / "other" / "cat.png")
    ended = submit(commands, up, folder / "same", folder / "cat.png", other)
    assert ended.code == 0
    plain, with_job = sorted(names(folder / "same"), key=len)
    assert plain == "cat_x4.png"
    assert with_job.startswith("cat_x4_")
    assert with_job.endswith(".png")


def test_submit_fails_when_one_of_several_failed_and_keeps_the_others(up: Up, commands: Commands, folder: Path) -> None:
    """The exit code tells a script; the reason tells a person; what was done is there."""
    broken = folder / "broken.png"
    broken.write_bytes(b"not a picture")
    ended = submit(commands, up, folder / "mixed", broken, folder / "cat.png")
    assert ended.code == 1
    assert "broken.png: failed: image_format_unsupported: " in ended.out
    assert names(folder / "mixed") == ["cat_x4.png"]


def test_submit_as_json_prints_each_event_with_its_type(up: Up, commands: Commands, folder: Path) -> None:
    """A script reads one object a line, and nothing else is printed. Each says which picture it is about, and the last
    where the result is."""
    ended = submit(commands, up, folder / "json", folder / "cat.png", "--json")
    events = [orjson.loads(line) for line in ended.out.splitlines()]
    assert [event["type"].split(".")[-2] for event in events if "progress" not in event["type"]] == [
        "started",
        "completed",
    ]
    assert {(event["job_id"], event["picture"]) for event in events} == {(events[0]["job_id"], str(folder / "cat.png"))}
    assert [event.get("path") for event in events[-2:]] == [None, str(folder / "json" / "cat_x4.png")]


def test_submit_tells_that_a_webhook_is_not_called(up: Up, commands: Commands, folder: Path) -> None:
    """With its reason: whoever waits for the call would wait for ever. The picture is large enough to be still in work
    then."""
    large = folder / "large.png"
    Image.fromarray(make_pixels(300, 300)).save(large)
    ended = submit(commands, up, folder / "hooked", large, "--webhook", "http://example.com/")
    assert ended.code == 0
    assert "large.png: webhook not called: webhook.url: the scheme must be https, got 'http'\n" in ended.out


@pytest.fixture(scope="module")
def unheard(up: Up, commands: Commands) -> dict[str, str]:
    """Variables of topics that no worker reads."""
    variables = up.variables | {"UPSCALE_KAFKA__TOPIC_PREFIX": "unheard"}
    assert commands.run("topics", "create", environment=variables).code == 0
    return variables


def test_submit_that_gives_up_names_the_jobs_it_leaves(
    unheard: dict[str, str], commands: Commands, folder: Path
) -> None:
    """They go on, and nobody else knows their ids."""
    words = ("submit", str(folder / "cat.png"), "-o", str(folder / "given up"), "--timeout", "5")
    ended = commands.run(*words, environment=unheard)
    assert ended.code == 1
    job = ended.out.split()[-1]
    assert ended.err.splitlines()[:2] == ["these jobs go on without us:", f"  {job}  {folder / 'cat.png'}"]
    assert ended.err.splitlines()[-1].startswith("upscale submit: no answer within --timeout 5 s")


def test_interrupted_submit_names_the_jobs_it_leaves(unheard: dict[str, str], folder: Path) -> None:
    """Ctrl-C stops the waiting and not the work."""
    command = [sys.executable, "-m", "pipeline", "submit", str(folder / "cat.png"), "-o", str(folder / "interrupted")]
    environment = base_environment() | unheard
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            job = process.stdout.readline().split()[-1]
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[:2] == ["these jobs go on without us:", f"  {job}  {folder / 'cat.png'}"]
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("{folder}",), "{folder}: is a folder; name the pictures in it"),
        (("/proc/self/mem",), "/proc/self/mem: cannot be read: Input/output error"),
        (("{folder}/cat.png", "-o", "{folder}/cat.png"), "{folder}/cat.png: must be a folder for results: File exists"),
        (("{folder}/cat.png", "--tenant", "a b"), "--tenant: must match pattern"),
    ],
)
def test_submit_refuses_in_one_line_what_it_cannot_use(
    commands: Commands, folder: Path, words: tuple[str, ...], said: str
) -> None:
    """The mistake is told before anything is contacted: no broker is named here."""
    ended = commands.run("submit", *(word.format(folder=folder) for word in words), environment={})
    assert ended.code == 1
    assert ended.err.startswith(f"upscale submit: {said.format(folder=folder)}")
    assert ended.err.count("\n") == 1

"""`upscale doctor` as a process: a green line for what is well, and a red one with what to do for what is not."""

from pathlib import Path

import pytest

from pipeline.embedded.process import free_port
from pipeline.gpu.models import catalog
from schemas.topics import declare
from tests.support.commands import Commands
from tests.support.deployment_local import MODEL

pytestmark = [pytest.mark.integration, pytest.mark.weights]
SUBJECTS = ("versions", "device", "weights", "broker", "topics", "store", "database")


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    """Those of a worker's machine, which has no database."""
    return {name: value for name, value in variables.items() if not name.startswith("UPSCALE_STATE__")}


def examined(commands: Commands, variables: dict[str, str]) -> tuple[int, dict[str, str]]:
    """The exit code, and by subject `ok` or `fail`, what was found and what to do, in one line of text."""
    ended = commands.run("doctor", environment=variables)
    assert "Traceback" not in ended.out + ended.err
    found = {}
    for line in ended.out.replace("\n              -> ", " -> ").splitlines():
        mark, subject, text = line.split(maxsplit=2)
        found[subject] = f"{mark} {text}"
    assert tuple(found) == SUBJECTS
    return ended.code, found


def red(found: dict[str, str]) -> set[str]:
    return {subject for subject, text in found.items() if not text.startswith("ok ")}


def test_doctor_is_green_where_nothing_is_wrong(commands: Commands, variables: dict[str, str]) -> None:
    """Exit code 0, and each line says what was found, so that a person sees that it is the right one."""
    code, found = examined(commands, variables)
    assert (code, red(found)) == (0, set())
    assert all(spec.name in found["weights"] for spec in catalog.WITH_THE_INSTALL)
    assert found["broker"] == f"ok reached at {variables['UPSCALE_KAFKA__SERVERS']}"
    assert found["topics"] == f"ok {len(declare().all())} topics as declared"
    assert found["store"] == f"ok bucket upscale at {variables['UPSCALE_STORE__ENDPOINT']}"


def test_doctor_goes_on_when_broker_and_store_are_down(commands: Commands, variables: dict[str, str]) -> None:
    """Each is told with its address and its variable, and the rest is examined all the same."""
    broker, store = f"127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    code, found = examined(commands, variables | {"UPSCALE_KAFKA__SERVERS": broker, "UPSCALE_STORE__ENDPOINT": store})
    assert (code, red(found)) == (1, {"broker", "topics", "store"})
    assert found["broker"] == (
        f"fail cannot reach the Kafka broker at {broker}: connection refused; "
        "set UPSCALE_KAFKA__SERVERS to change the address"
    )
    assert found["store"] == (
        f"fail cannot reach the object store at {store}: the connection is refused or breaks off; "
        "set UPSCALE_STORE__ENDPOINT to change the address"
    )


def test_doctor_names_missing_topics_and_the_command_that_makes_them(
    commands: Commands, variables: dict[str, str]
) -> None:
    """A broker that is there but was not prepared."""
    code, found = examined(commands, variables | {"UPSCALE_KAFKA__TOPIC_PREFIX": "absent"})
    assert (code, red(found)) == (1, {"topics"})
    assert "absent.events is missing" in found["topics"]
    assert found["topics"].endswith(" -> upscale topics create")


def test_doctor_names_a_missing_bucket_and_the_command_that_makes_it(
    commands: Commands, variables: dict[str, str]
) -> None:
    """A store that is there but was not prepared."""
    code, found = examined(commands, variables | {"UPSCALE_STORE__BUCKET": "no-such-bucket"})
    assert (code, red(found)) == (1, {"store"})
    assert "it has no bucket 'no-such-bucket'; see UPSCALE_STORE__BUCKET" in found["store"]
    assert found["store"].endswith(" -> upscale bucket create")


def test_doctor_names_the_variables_of_wrong_credentials(commands: Commands, variables: dict[str, str]) -> None:
    """The store knows the key by name and not its secret; the secret is not shown."""
    code, found = examined(commands, variables | {"UPSCALE_STORE__SECRET_KEY": "never-issued"})
    assert (code, red(found)) == (1, {"store"})
    assert found["store"].endswith("see UPSCALE_STORE__ACCESS_KEY and UPSCALE_STORE__SECRET_KEY")
    assert "never-issued" not in found["store"]


def test_doctor_looks_at_the_database_that_is_named(
    commands: Commands, variables: dict[str, str], tmp_path: Path
) -> None:
    """First one that is not there, then the same with tables."""
    named = variables | {"UPSCALE_STATE__URL": f"sqlite:///{tmp_path}/state.db"}
    code, found = examined(commands, named)
    assert (code, red(found)) == (1, {"database"})
    assert found["database"].endswith("there is no such file; run `upscale state migrate`; see UPSCALE_STATE__URL")
    assert commands.run("state", "migrate", environment=named).code == 0
    code, found = examined(commands, named)
    assert (code, red(found)) == (0, set())
    assert found["database"].startswith(f"ok {tmp_path}/state.db, step ")


def test_doctor_names_the_damaged_file_of_a_model(
    commands: Commands, variables: dict[str, str], tmp_path: Path
) -> None:
    """A file that is not the published one is never passed over in silence."""
    damaged = tmp_path / catalog.find(MODEL).official.file
    damaged.write_bytes(b"not what was published")
    code, found = examined(commands, variables | {"UPSCALE_DEVICE__MODELS_DIR": str(tmp_path)})
    assert (code, red(found)) == (1, {"device", "weights"})
    assert found["weights"].endswith(
        f"the weights of '{MODEL}' are damaged, or not the published ones, on this worker; "
        f"`upscale models pull {MODEL}` installs them -> put the published file at {damaged}, or remove it for the "
        "weights that come with the install"
    )
    assert found["device"].endswith(" -> see `weights`")

"""The compose file is valid, hardened and consistent with the program."""

import json
from importlib.resources import files
from urllib.parse import urlsplit

import jsonschema
import pytest

from pipeline import settings
from pipeline.embedded.store import WHOLE_BYTES
from pipeline.environment import load
from tests.support.deployment import Document, compose, dockerfiles, environment, services

SERVICES = services()
OURS = [name for name, service in SERVICES.items() if "build" in service]
EACH = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def _seconds(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration[:-1])


def _limits(service: Document) -> Document:
    limits: Document = service["deploy"]["resources"]["limits"]
    return limits


def test_compose_file_follows_the_compose_specification() -> None:
    """Any tool that implements the specification reads the file."""
    schema = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())

    jsonschema.validate(compose(), schema)


@EACH
def test_service_runs_without_privileges(service: Document) -> None:
    """Not root, nothing writable but what is mounted, no capability, no way to gain one."""
    user = service["user"].split(":")[0]

    assert user.isdigit()
    assert int(user) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert "cap_add" not in service


@EACH
def test_service_cannot_take_the_whole_machine(service: Document) -> None:
    """Processors, memory and processes of every service are limited."""
    assert {"cpus", "memory", "pids"} <= _limits(service).keys()


@EACH
def test_service_is_published_on_loopback_only(service: Document) -> None:
    """Nothing here has TLS or real passwords, so nothing answers other machines."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@EACH
def test_foreign_image_is_pinned_by_digest(service: Document) -> None:
    """A tag that is moved upstream does not change what runs; our own images are built from this tree."""
    if "build" in service:
        assert service["image"].partition(":")[0] in dockerfiles()
    else:
        name, _, digest = service["image"].partition("@sha256:")
        assert len(digest) == 64
        assert name.partition(":")[2] not in ("", "latest")


@EACH
def test_service_waits_for_what_can_become_ready(service: Document) -> None:
    """A condition names a service that exists, and one waited for as healthy says when it is."""
    for name, wanted in service.get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[name]
        else:
            assert SERVICES[name]["restart"] != "unless-stopped"


@EACH
def test_named_volumes_are_declared(service: Document) -> None:
    """A volume that is mounted by name is kept by compose, and what is mounted from the tree is read-only."""
    for source, _, target in (volume.partition(":") for volume in service.get("volumes", [])):
        assert target.endswith(":ro") if source.startswith("./") else source in compose()["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_environment_of_our_service_is_accepted_by_the_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings that a service gets load, each of them from a variable the program knows."""
    for variable, value in environment(SERVICES[name]).items():
        monkeypatch.setenv(variable, value)

    load()


def test_worker_is_given_time_to_drain() -> None:
    """A worker that is stopped finishes what it holds and still has time to leave its group."""
    for name in ("worker", "worker-gpu"):
        assert _seconds(SERVICES[name]["stop_grace_period"]) >= settings.IntakeSettings().drain_seconds + 30


def test_dispatcher_is_given_time_to_drain() -> None:
    """An attempt that is under way is answered, and what came of it is written down, before the kill."""
    wanted = settings.WebhookSettings().drain_seconds + 30

    assert _seconds(SERVICES["dispatcher"]["stop_grace_period"]) >= wanted


def test_dispatcher_starts_on_tables_that_are_up_to_date() -> None:
    """It refuses others, and would be restarted until somebody migrates."""
    assert SERVICES["dispatcher"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["command"] == ["state", "migrate"]
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


def test_dispatcher_is_healthy_when_it_is_ready() -> None:
    """The small image has no check of its own."""
    port = environment(SERVICES["dispatcher"])["UPSCALE_TELEMETRY__PORT"]

    assert f"http://127.0.0.1:{port}/ready" in SERVICES["dispatcher"]["healthcheck"]["test"][-1]


def test_results_are_signed_for_an_address_that_the_store_is_published_at() -> None:
    """Whoever receives a webhook on this machine can read the result that it names."""
    endpoint = environment(SERVICES["dispatcher"])["UPSCALE_STORE__ENDPOINT"].removeprefix("http://")

    assert endpoint in {port.rpartition(":")[0] for port in SERVICES["store"]["ports"]}


def test_nothing_is_sent_to_the_store_in_parts() -> None:
    """This store would let two writers win."""
    assert "seaweedfs" in SERVICES["store"]["image"]
    for name in ("worker", "worker-gpu", "tools"):
        assert environment(SERVICES[name])["UPSCALE_STORE__MULTIPART_THRESHOLD_BYTES"] == str(WHOLE_BYTES)


def test_database_is_reached_by_those_who_need_it_and_has_no_way_out() -> None:
    """It is in one network, without a gateway; workers, who fetch what strangers name, are not in it."""
    members = {name for name, service in SERVICES.items() if "state" in service["networks"]}

    assert compose()["networks"]["state"]["internal"] is True
    assert SERVICES["database"]["networks"] == ["state"]
    assert "ports" not in SERVICES["database"]
    assert members == {"database", "migrate", "dispatcher", "tools"}
    assert {name for name in OURS if "UPSCALE_STATE__URL" in SERVICES[name]["environment"]} == members - {"database"}


def test_database_lets_in_those_who_have_its_url() -> None:
    """User, password and name are those that it is made with."""
    made = environment(SERVICES["database"])
    url = urlsplit(environment(SERVICES["dispatcher"])["UPSCALE_STATE__URL"])

    assert (url.hostname, url.port) == ("database", 5432)
    assert url.username == made["POSTGRES_USER"]
    assert url.password == made["POSTGRES_PASSWORD"]
    assert url.path == f"/{made['POSTGRES_DB']}"


def test_worker_services_differ_in_the_device_only() -> None:
    """What is true of the CPU worker holds for the GPU worker: they are one definition."""
    cpu, gpu = SERVICES["worker"], SERVICES["worker-gpu"]

    assert gpu["environment"] == cpu["environment"] | {"UPSCALE_DEVICE__DEVICE": "cuda"}
    assert {key for key in gpu if gpu[key] != cpu.get(key)} == {"environment", "deploy", "profiles"}
    (card,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert card["capabilities"] == ["gpu"]
    assert card["device_ids"] == ["${WORKER_GPU:-0}"]

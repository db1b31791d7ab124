"""The compose file is valid, hardened and consistent with the program."""

import json
from importlib.resources import files

import jsonschema
import pytest

from pipeline import settings
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


def test_worker_services_differ_in_the_device_only() -> None:
    """What is true of the CPU worker holds for the GPU worker: they are one definition."""
    cpu, gpu = SERVICES["worker"], SERVICES["worker-gpu"]

    assert gpu["environment"] == cpu["environment"] | {"UPSCALE_DEVICE__DEVICE": "cuda"}
    assert {key for key in gpu if gpu[key] != cpu.get(key)} == {"environment", "deploy", "profiles"}
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]

"""The Kubernetes objects are hardened and consistent with the program."""

from pathlib import Path

import pytest

from pipeline import environment, settings
from tests.support.deployment import Document, kubernetes, pod_specs

PODS = pod_specs()
EACH = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)


def _of_kind(kind: str) -> list[Document]:
    return [document for document in kubernetes() if document["kind"] == kind]


def _settings() -> dict[str, str]:
    return dict(_of_kind("ConfigMap")[0]["data"])


@EACH
def test_pod_runs_without_privileges(pod: Document) -> None:
    """The strictest pod security standard admits it, and the cluster's interface is out of its reach."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@EACH
def test_pod_cannot_take_the_whole_node(pod: Document) -> None:
    """Memory is limited, and the scheduler knows what a pod needs."""
    for container in pod["containers"]:
        assert "memory" in container["resources"]["limits"]
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@EACH
def test_pod_is_under_a_network_policy_for_both_directions(pod: Document) -> None:
    """A pod that is taken over reaches only what its work needs."""
    name = pod["containers"][0]["args"][0]
    policies = {policy["metadata"]["name"]: policy["spec"] for policy in _of_kind("NetworkPolicy")}

    assert policies[f"upscale-{name}"]["policyTypes"] == ["Ingress", "Egress"]


def test_settings_are_accepted_by_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every variable of the config map loads; secrets come from files."""
    secret = tmp_path / "secret"
    secret.write_text("value\n", encoding="utf-8")
    for variable, value in _settings().items():
        monkeypatch.setenv(variable, str(secret) if variable.endswith("_FILE") else value)

    loaded = environment.load()

    assert loaded.store.access_key == "value"
    assert loaded.store.secret_key is not None


def test_worker_is_given_time_to_drain() -> None:
    """The kill comes only after draining, leaving the group and flushing have had their time."""
    drain_seconds = float(_settings()["UPSCALE_INTAKE__DRAIN_SECONDS"])

    assert PODS["Deployment/upscale-worker"]["terminationGracePeriodSeconds"] >= drain_seconds + 30


def test_worker_probes_ask_the_port_that_the_worker_serves() -> None:
    """Three probes, each with its own question, on the port of the settings."""
    worker = PODS["Deployment/upscale-worker"]["containers"][0]
    probes = {name: worker[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}

    assert probes == {"startup": "/live", "liveness": "/live", "readiness": "/ready"}
    assert worker["ports"] == [{"name": "health", "containerPort": settings.TelemetrySettings().port}]


def test_workers_are_never_all_evicted_at_once() -> None:
    """A drained node takes one worker at a time, out of those that the deployment makes."""
    budget = _of_kind("PodDisruptionBudget")[0]["spec"]
    deployment = _of_kind("Deployment")[0]["spec"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]

"""The Kubernetes objects are hardened and consistent with the program."""

import re
from pathlib import Path, PurePosixPath

import pytest
import yaml

from pipeline import environment, settings
from pipeline.embedded.store import WHOLE_BYTES
from tests.support.deployment import OPS, Document, kubernetes, pod_specs

PODS = pod_specs()
EACH = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
ROLES = pytest.mark.parametrize("role", ["worker", "dispatcher"])


def _of_kind(kind: str) -> list[Document]:
    return [document for document in kubernetes() if document["kind"] == kind]


def _named(kind: str, name: str) -> Document:
    (found,) = (document for document in _of_kind(kind) if document["metadata"]["name"] == name)
    return found


def _environment(pod: Document) -> dict[str, str]:
    """What the container finds: the config map, and over it its own."""
    (container,) = pod["containers"]
    return _settings() | {each["name"]: each["value"] for each in container.get("env", [])}


def _secret_folders(pod: Document) -> set[str]:
    secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
    return {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in secrets}


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
def test_environment_of_pod_is_accepted_by_the_program(
    pod: Document, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every variable loads, and each file that one names lies in a secret that is mounted."""
    (tmp_path / "secret").write_text("value\n", encoding="utf-8")
    for variable, value in _environment(pod).items():
        if variable.endswith("_FILE"):
            assert str(PurePosixPath(value).parent) in _secret_folders(pod)
        monkeypatch.setenv(variable, str(tmp_path / "secret") if variable.endswith("_FILE") else value)

    loaded = environment.load()

    assert loaded.kafka.servers == "kafka:9092"


def test_nothing_is_sent_to_the_store_in_parts() -> None:
    """The store of the example is reached as SeaweedFS is, which would let two writers win."""
    assert _settings()["UPSCALE_STORE__ENDPOINT"].endswith(":8333")
    assert _settings()["UPSCALE_STORE__MULTIPART_THRESHOLD_BYTES"] == str(WHOLE_BYTES)


def test_dispatcher_and_migration_use_one_database() -> None:
    """The tables that are brought up to date are those that are worked on; nobody else holds the key to them."""
    holders = {name: _environment(pod).get("UPSCALE_STATE__URL_FILE") for name, pod in PODS.items()}

    assert holders["Deployment/upscale-dispatcher"] == holders["Job/upscale-migrate"]
    assert {name for name, url in holders.items() if url} == {"Deployment/upscale-dispatcher", "Job/upscale-migrate"}


def test_results_are_not_signed_for_an_address_inside_the_cluster() -> None:
    """Receivers are outside: the dispatcher has an address of its own for the store."""
    endpoint = _environment(PODS["Deployment/upscale-dispatcher"])["UPSCALE_STORE__ENDPOINT"]

    assert endpoint != _settings()["UPSCALE_STORE__ENDPOINT"]
    assert endpoint.startswith("https://")


def test_settings_are_accepted_by_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every variable of the config map loads; secrets come from files."""
    secret = tmp_path / "secret"
    secret.write_text("value\n", encoding="utf-8")
    for variable, value in _settings().items():
        monkeypatch.setenv(variable, str(secret) if variable.endswith("_FILE") else value)

    loaded = environment.load()

    assert loaded.store.access_key == "value"
    assert loaded.store.secret_key is not None


@pytest.mark.parametrize(("role", "room"), [("worker", "INTAKE"), ("dispatcher", "WEBHOOK")])
def test_role_is_given_time_to_drain(role: str, room: str) -> None:
    """The kill comes only after draining, leaving the group and flushing have had their time."""
    drain_seconds = float(_settings()[f"UPSCALE_{room}__DRAIN_SECONDS"])

    assert PODS[f"Deployment/upscale-{role}"]["terminationGracePeriodSeconds"] >= drain_seconds + 30


@ROLES
def test_probes_ask_the_port_that_the_role_serves(role: str) -> None:
    """Three probes, each with its own question, on the port of the settings."""
    container = PODS[f"Deployment/upscale-{role}"]["containers"][0]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}

    assert probes == {"startup": "/live", "liveness": "/live", "readiness": "/ready"}
    assert container["ports"] == [{"name": "health", "containerPort": settings.TelemetrySettings().port}]


@ROLES
def test_role_is_found_by_prometheus(role: str) -> None:
    """By a service of the name that the alerts ask for, ready or not; its annotations would have it found twice."""
    service = _named("Service", f"upscale-{role}")["spec"]
    deployment = _named("Deployment", f"upscale-{role}")["spec"]

    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)
    assert service["selector"] == deployment["selector"]["matchLabels"]
    assert service["ports"] == [{"name": "metrics", "port": settings.TelemetrySettings().port, "targetPort": "health"}]
    assert "annotations" not in deployment["template"]["metadata"]


def test_page_tells_prometheus_the_jobs_that_the_alerts_ask_for() -> None:
    """What an operator copies finds the services, in both ways, and under the names of the rules."""
    readme = (OPS / "kubernetes" / "README.md").read_text(encoding="utf-8")
    told, monitor = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL))
    asked = set(re.findall(r'job="([^"]+)"', (OPS / "prometheus" / "alerts.yml").read_text(encoding="utf-8")))
    kustomization = yaml.safe_load((OPS / "kubernetes" / "base" / "kustomization.yaml").read_text(encoding="utf-8"))
    found = {
        job["job_name"]: [(name, each["port"]) for each in job["dns_sd_configs"] for name in each["names"]]
        for job in told["scrape_configs"]
    }

    assert asked == {service["metadata"]["name"] for service in _of_kind("Service")}
    assert found == {job: [(f"{job}.upscale.svc.cluster.local", settings.TelemetrySettings().port)] for job in asked}
    assert monitor["spec"]["selector"]["matchLabels"] == kustomization["labels"][0]["pairs"]
    assert monitor["spec"]["endpoints"] == [{"port": "metrics"}]


@ROLES
def test_role_is_never_all_evicted_at_once(role: str) -> None:
    """A drained node takes one pod at a time, out of those that the deployment makes, of which there are several."""
    budget = _named("PodDisruptionBudget", f"upscale-{role}")["spec"]
    deployment = _named("Deployment", f"upscale-{role}")["spec"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    assert deployment["replicas"] >= 2


def test_workers_with_cards_are_replaced_without_a_spare_card() -> None:
    """One more worker than there are cards would wait for one for ever, and the rollout with it."""
    gpu = yaml.safe_load((OPS / "kubernetes" / "gpu" / "kustomization.yaml").read_text(encoding="utf-8"))
    (patch,) = gpu["patches"]
    changes = {change["path"]: change for change in yaml.safe_load(patch["patch"])}
    (kind, name) = patch["target"]["kind"], patch["target"]["name"]

    assert changes["/spec/template/spec/containers/0/resources/limits/nvidia.com~1gpu"]["value"] == 1
    assert changes["/spec/strategy/rollingUpdate"]["op"] == "replace"
    assert changes["/spec/strategy/rollingUpdate"]["value"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert "rollingUpdate" in _named(kind, name)["spec"]["strategy"]


def test_every_object_is_applied() -> None:
    """A file that the kustomization does not name is in no cluster."""
    base = OPS / "kubernetes" / "base"
    named = yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]

    assert sorted(named) == sorted(path.name for path in base.glob("*.yaml") if path.name != "kustomization.yaml")

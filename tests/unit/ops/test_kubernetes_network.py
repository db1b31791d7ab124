"""Who may talk to whom in the cluster, and which part of the outside is reached."""

import pytest

from pipeline.settings import TelemetrySettings
from pipeline.storage import addresses
from pipeline.storage.urls import DEFAULT_PORTS
from tests.support.deployment import Document, kubernetes

POLICIES: dict[str, Document] = {
    document["metadata"]["name"]: document["spec"] for document in kubernetes() if document["kind"] == "NetworkPolicy"
}
TEMPLATES: dict[str, Document] = {
    f"{document['kind']}/{document['metadata']['name']}": document["spec"]["template"]
    for document in kubernetes()
    if "template" in document.get("spec", {})
}
ROLES = pytest.mark.parametrize("role", ["worker", "dispatcher"])


def _selects(selector: Document, template: Document) -> bool:
    return bool(selector["matchLabels"].items() <= template["metadata"]["labels"].items())


def _peers(policy: Document, kind: str) -> list[Document]:
    return [peer[kind] for rule in policy["egress"] for peer in rule["to"] if kind in peer]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_pod_is_under_a_network_policy_for_both_directions(template: Document) -> None:
    """A pod that is taken over reaches only what its work needs."""
    found = [policy for policy in POLICIES.values() if _selects(policy["podSelector"], template)]

    assert [policy["policyTypes"] for policy in found] == [["Ingress", "Egress"]]


@ROLES
def test_network_lets_nobody_out_to_what_the_program_refuses(role: str) -> None:
    """The second wall stands where the first does."""
    blocks = {block["cidr"]: block["except"] for block in _peers(POLICIES[f"upscale-{role}"], "ipBlock")}

    assert blocks == {
        "0.0.0.0/0": [str(network) for network, _ in addresses._FORBIDDEN_V4],
        str(addresses._ALLOWED_V6): [str(network) for network, _ in addresses._FORBIDDEN_V6],
    }


@ROLES
def test_public_is_reached_on_the_port_that_the_program_asks(role: str) -> None:
    """Plain text is for development."""
    [ports] = [rule["ports"] for rule in POLICIES[f"upscale-{role}"]["egress"] if "ipBlock" in rule["to"][0]]

    assert [each["port"] for each in ports] == [DEFAULT_PORTS["https"]]


@pytest.mark.parametrize(
    ("role", "services"),
    [
        ("worker", {"kafka", "store"}),
        ("dispatcher", {"kafka", "postgresql"}),
        ("topics", {"kafka"}),
        ("migrate", {"postgresql"}),
    ],
)
def test_pod_reaches_the_services_of_its_work_and_no_other(role: str, services: set[str]) -> None:
    """A dispatcher, which calls what strangers name, never sees the store, and a worker never sees the database."""
    pods = _peers(POLICIES[f"upscale-{role}"], "podSelector")

    assert {pod["matchLabels"]["app.kubernetes.io/name"] for pod in pods} == services


@ROLES
def test_only_metrics_are_let_in(role: str) -> None:
    """Nobody talks to a role but who scrapes it."""
    ingress = POLICIES[f"upscale-{role}"]["ingress"]

    assert [rule["ports"] for rule in ingress] == [[{"protocol": "TCP", "port": TelemetrySettings().port}]]

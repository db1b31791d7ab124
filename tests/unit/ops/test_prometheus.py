"""Alerts ask for series that exist, and every alert can be acted on."""

import re

import pytest
import yaml
from prometheus_client import Histogram

from pipeline.settings import TelemetrySettings
from pipeline.telemetry import metrics
from schemas.failures import Fault
from schemas.stages import Stage
from schemas.topics import Lane
from tests.support.deployment import OPS, ROOT, Document, services
from tests.support.promql import ADDED_LABELS, OTHER_METRICS, exported, read

PROMETHEUS = OPS / "prometheus"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
EACH = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
VALUES: dict[str, set[str]] = {"stage": set(Stage), "lane": set(Lane), "fault": set(Fault)}


@EACH
def test_alert_asks_for_series_that_exist(rule: Document) -> None:
    """An alert on a misspelt name would be silent for ever."""
    reading = read(rule["expr"])
    known = exported()

    assert reading.metrics <= known.keys() | OTHER_METRICS
    assert reading.grouped <= ADDED_LABELS.union(*known.values())
    for metric, label, value in reading.matched:
        assert label in known.get(metric, frozenset()) | ADDED_LABELS
        assert value in VALUES.get(label, {value})


@EACH
def test_alert_can_be_acted_on(rule: Document) -> None:
    """It says what it means and what usually brings it about, and leads to a section of the runbook."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"].keys() == {"summary", "cause", "runbook"}
    assert f"## {rule['alert']}\n" in (ROOT / page).read_text(encoding="utf-8")
    assert anchor == rule["alert"].lower()


def test_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    """A section that outlives its alert misleads whoever reads it at night."""
    sections = re.findall(r"^## (.+)$", (OPS / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sections == list(RULES)


def test_every_alert_has_a_stated_behaviour() -> None:
    """When each alert fires is written down for promtool beside the rules."""
    stated = (PROMETHEUS / "alerts.test.yml").read_text(encoding="utf-8")

    assert [name for name in RULES if name not in stated] == []


@pytest.mark.parametrize(
    ("alert", "histogram"),
    [
        ("UpscaleInteractiveSlow", metrics.JOB_SECONDS),
        ("UpscaleWebhooksSlow", metrics.WEBHOOK_FIRST_ATTEMPT_SECONDS),
    ],
)
def test_latency_objective_is_a_bucket_of_its_histogram(alert: str, histogram: Histogram) -> None:
    """Where there is no such bucket, the series does not exist and the alert is silent."""
    bounds = {value for _, label, value in read(RULES[alert]["expr"]).matched if label == "le"}

    assert bounds
    assert bounds <= {str(float(bound)) for bound in histogram._upper_bounds}


@pytest.mark.parametrize("role", ["worker", "dispatcher"])
def test_prometheus_scrapes_the_roles_that_compose_runs(role: str) -> None:
    """Discovery asks for service names that exist, on the port that they serve, in a network where they are found."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    scraped = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    running = [name for name, service in services().items() if service.get("command") == [role]]

    assert scraped.keys() == {"upscale-worker", "upscale-dispatcher"}
    assert scraped[f"upscale-{role}"]["names"] == running
    assert scraped[f"upscale-{role}"]["port"] == TelemetrySettings().port
    assert all(set(services()[name]["networks"]) & set(services()["prometheus"]["networks"]) for name in running)
    assert config["rule_files"] == ["alerts.yml"]

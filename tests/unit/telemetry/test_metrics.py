"""Every metric is named as Prometheus asks and declared with words an operator can act on."""

import ast
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from pipeline.telemetry import metrics
from schemas.stages import Stage
from schemas.topics import Lane
from tests.support.exposition import sample

SOURCE = Path(metrics.__file__).read_text(encoding="utf-8")
DECLARED = {name: each for name, each in vars(metrics).items() if isinstance(each, MetricWrapperBase)}
BOUNDED_LABELS = {"stage", "lane", "model", "code", "fault", "status", "outcome", "reason", "topic", "version",
                  "device", "precision", "tier", "service"}  # fmt: skip


@pytest.mark.parametrize("name", DECLARED)
def test_metric_has_a_comment_above_it(name: str) -> None:
    """What it means when it moves, and what to do: a dashboard cannot say that."""
    lines = SOURCE.splitlines()
    declared = next(each for each in ast.parse(SOURCE).body if isinstance(each, ast.Assign) and _target(each) == name)
    assert lines[declared.lineno - 2].startswith("# ")


def _target(assignment: ast.Assign) -> str:
    target = assignment.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_metric_is_named_with_prefix_and_base_unit(metric: MetricWrapperBase) -> None:
    """Seconds and bytes; nothing in milliseconds or megabytes, and no counter without `_total` on the wire."""
    name = metric.describe()[0].name
    assert name.startswith("upscale_")
    assert not name.endswith(("_ms", "_milliseconds", "_mb", "_kb", "_percent", "_count", "_sum", "_bucket"))
    if isinstance(metric, Histogram) and ("duration" in name or "lag" in name):
        assert name.endswith("_seconds")
    if isinstance(metric, Counter):
        assert f'"{name}_total"' in SOURCE
    if isinstance(metric, Gauge):
        assert not name.endswith("_total")


@pytest.mark.parametrize("metric", DECLARED.values(), ids=DECLARED)
def test_metric_has_only_bounded_labels(metric: MetricWrapperBase) -> None:
    """A label for each job, tenant or URL would fill the memory of whoever scrapes."""
    assert set(metric._labelnames) <= BOUNDED_LABELS


def test_known_series_exist_before_anything_happens() -> None:
    """A rate over a series that appears with its first event misses that event."""
    metrics.declare_known_labels()
    for stage in Stage:
        assert sample("upscale_stage_duration_seconds_count", stage=stage) >= 0.0
    text = {tuple(each.labels.values()) for each in metrics.STAGE_IN_PROGRESS.collect()[0].samples}
    assert text >= {(str(stage),) for stage in Stage}
    lanes = {each.labels["lane"] for each in metrics.IN_FLIGHT_JOBS.collect()[0].samples}
    assert lanes >= set(Lane)

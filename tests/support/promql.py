"""What a PromQL expression reads, and what our program exports."""

from dataclasses import dataclass

import promql_parser
from prometheus_client.metrics import MetricWrapperBase

from pipeline.telemetry import metrics

# What Prometheus adds to every series it scrapes.
ADDED_LABELS = frozenset({"instance", "job"})
# What Prometheus writes by itself.
OTHER_METRICS = frozenset({"up"})

SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Reading:
    """Series and labels that an expression names."""

    metrics: frozenset[str]
    matched: frozenset[tuple[str, str, str]]
    """Metric, label and value of every matcher."""
    grouped: frozenset[str]
    """Labels in `by`, `without`, `on` and `ignoring`."""


def read(expression: str) -> Reading:
    """Parse an expression. Raises `ValueError` when it is not PromQL."""
    names: set[str] = set()
    matched: set[tuple[str, str, str]] = set()
    grouped: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            name = node.name or ""
            names.add(name)
            matched.update((name, matcher.name, matcher.value) for matcher in node.matchers.matchers)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            grouped.update(node.modifier.labels)
        if isinstance(node, promql_parser.BinaryExpr) and node.modifier and node.modifier.matching:
            grouped.update(node.modifier.matching.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return Reading(frozenset(names), frozenset(matched), frozenset(grouped))


def exported() -> dict[str, frozenset[str]]:
    """Labels of every series our program exports, by the series' name."""
    series: dict[str, frozenset[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            family = next(iter(metric.describe()))
            labels = frozenset(metric._labelnames)
            for suffix in SUFFIXES[family.type]:
                series[family.name + suffix] = labels | {"le"} if suffix == "_bucket" else labels
    return series

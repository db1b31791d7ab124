"""The PromQL forms that the dashboard is made of, each limited to the processes chosen in it."""

from ops.grafana.panels import Query

CHOSEN = 'instance=~"$instance"'
WINDOW = "[$__rate_interval]"


def select(metric: str, matchers: str = "") -> str:
    """Series of a metric."""
    return f"{metric}{{{CHOSEN}, {matchers}}}" if matchers else f"{metric}{{{CHOSEN}}}"


def rate(metric: str, by: str, matchers: str = "") -> str:
    """Rate of a counter, summed over the labels that are not named."""
    return f"sum by ({by}) (rate({select(metric, matchers)}{WINDOW}))"


def total(metric: str, by: str, matchers: str = "") -> str:
    """A gauge summed over the labels that are not named."""
    return f"sum by ({by}) ({select(metric, matchers)})"


def most(metric: str, by: str) -> str:
    """The largest of a gauge over the labels that are not named."""
    return f"max by ({by}) ({select(metric)})"


def age(metric: str, by: str, matchers: str = "") -> str:
    """Seconds since the newest of the timestamps in a gauge."""
    return f"time() - max by ({by}) ({select(metric, matchers)})"


def mean(metric: str, by: str) -> str:
    """Mean of a histogram."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"


def percentile(metric: str, percent: int, by: str = "", matchers: str = "") -> str:
    """A percentile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({percent / 100}, {rate(f'{metric}_bucket', labels, matchers)})"


def percentiles(metric: str, matchers: str = "") -> tuple[Query, ...]:
    """Median, 95th and 99th percentile of a histogram, over all chosen processes."""
    return tuple(Query(percentile(metric, p, matchers=matchers), f"p{p}") for p in (50, 95, 99))


def by(label: str, expression: str) -> Query:
    """A query whose legend is one of its labels."""
    return Query(expression, f"{{{{{label}}}}}")

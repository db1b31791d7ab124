"""The dashboard is what its code makes, and shows every metric there is."""

from itertools import combinations

from ops.grafana.build import DASHBOARD, dashboard, main, render
from ops.grafana.panels import HEIGHT, WIDTH, Json
from schemas.stages import Stage
from tests.support.promql import ADDED_LABELS, exported, read


def _panels() -> list[Json]:
    rows = dashboard()["panels"]
    return [panel for row in rows for panel in (row, *row.get("panels", []))]


def _expressions() -> list[str]:
    return [t["expr"].replace("$__rate_interval", "1m") for p in _panels() for t in p.get("targets", [])]


def test_committed_dashboard_is_what_its_code_makes() -> None:
    """The file that Grafana loads was not edited by hand and not forgotten."""
    assert DASHBOARD.read_text(encoding="utf-8") == render()
    assert main(["--check"]) == 0


def test_dashboard_asks_for_series_that_exist() -> None:
    """No panel is empty because of a misspelt metric or label."""
    known = exported()
    for reading in map(read, _expressions()):
        assert reading.metrics <= known.keys()
        assert reading.grouped <= ADDED_LABELS.union(*known.values())
        for metric, label, _ in reading.matched:
            assert label in known[metric] | ADDED_LABELS


def test_dashboard_shows_every_metric() -> None:
    """A metric that is worth declaring is worth a panel."""
    shown = frozenset[str]().union(*(read(expression).metrics for expression in _expressions()))
    families = {name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket") for name in exported()}

    assert [family for family in sorted(families) if not any(name.startswith(family) for name in shown)] == []


def test_dashboard_has_a_row_for_each_stage_of_the_worker_in_path_order() -> None:
    """Reading downwards follows a job along its path."""
    rows = [panel["title"] for panel in _panels() if panel["type"] == "row"]
    stages = [title.removeprefix("Stage: ") for title in rows if title.startswith("Stage: ")]

    assert stages == [stage for stage in Stage if stage is not Stage.DELIVER]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    """Grafana shows every panel where it was put."""
    panels = _panels()
    open_panels = [p["gridPos"] for p in dashboard()["panels"] if p["type"] != "row"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(place["x"] + place["w"] <= WIDTH and place["h"] == HEIGHT for place in open_panels)
    assert not any(a["y"] == b["y"] and abs(a["x"] - b["x"]) < a["w"] for a, b in combinations(open_panels, 2))

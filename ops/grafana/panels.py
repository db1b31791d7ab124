"""Grafana's JSON for the few kinds of panel we use, and their places on the grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

WIDTH = 24
HEIGHT = 8
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel: a PromQL expression and its legend."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph. `unit` is one of Grafana's unit names."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of panels, side by side and of one width."""

    title: str
    panels: tuple[Panel, ...]
    collapsed: bool = False


def lay_out(rows: Sequence[Row]) -> list[Json]:
    """Rows one under another with ids counted from 1. A collapsed row carries its panels inside itself."""
    out: list[Json] = []
    top, number = 0, 1
    for row in rows:
        inner = [_panel(panel, number + 1 + i, _place(i, row.panels, top + 1)) for i, panel in enumerate(row.panels)]
        header = _header(row, number, top)
        out += [header | {"panels": inner}] if row.collapsed else [header, *inner]
        number += 1 + len(inner)
        top += 1 if row.collapsed else 1 + HEIGHT
    return out


def _header(row: Row, number: int, top: int) -> Json:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": row.title, "collapsed": row.collapsed, "gridPos": place, "panels": []}


def _place(index: int, panels: Sequence[Panel], top: int) -> Json:
    width = WIDTH // len(panels)
    return {"h": HEIGHT, "w": width, "x": index * width, "y": top}


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": _style(panel)}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [_target(query, i) for i, query in enumerate(panel.queries)],
    }


def _style(panel: Panel) -> Json:
    return {
        "fillOpacity": 30 if panel.stacked else 5,
        "showPoints": "never",
        "stacking": {"mode": "normal" if panel.stacked else "none"},
    }


def _target(query: Query, index: int) -> Json:
    return {
        "refId": chr(ord("A") + index),
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
    }

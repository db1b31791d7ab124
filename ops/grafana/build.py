"""Make the dashboard's JSON: `python -m ops.grafana.build` writes it, `--check` fails when the file differs."""

import json
import sys
from pathlib import Path

from ops.grafana.panels import DATASOURCE, Json, lay_out
from ops.grafana.rows import rows

DASHBOARD = Path(__file__).parent / "dashboards" / "upscale.json"


def dashboard() -> Json:
    """The whole dashboard."""
    return {
        "uid": "upscale",
        "title": "upscale",
        "tags": ["upscale"],
        "schemaVersion": 41,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), _instance()]},
        "panels": lay_out(rows()),
    }


def render() -> str:
    """The file's text, the same for the same code."""
    return json.dumps(dashboard(), indent=1) + "\n"


def main(arguments: list[str]) -> int:
    """0 when the file is as it should be, 1 when `--check` found it out of date."""
    text = render()
    if arguments == ["--check"]:
        current = DASHBOARD.read_text(encoding="utf-8") if DASHBOARD.exists() else ""
        if current != text:
            sys.stderr.write(f"{DASHBOARD.name} is out of date: run python -m ops.grafana.build\n")
            return 1
        return 0
    DASHBOARD.write_text(text, encoding="utf-8")
    return 0


def _datasource() -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _instance() -> Json:
    return {
        "name": "instance",
        "type": "query",
        "label": "Process",
        "datasource": DATASOURCE,
        "query": "label_values(upscale_build_info, instance)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

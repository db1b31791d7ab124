"""Every setting that is named outside the program exists in it."""

import re

import pytest

from pipeline.settings import Settings
from pipeline.variables import PREFIX, SEPARATOR
from tests.support.deployment import ROOT

FILES = (
    "docs/operations.md",
    "docs/webhooks.md",
    "docker-compose.yml",
    "README.md",
    "ops/docker/base.Dockerfile",
    "ops/docker/worker.Dockerfile",
    "ops/kubernetes/README.md",
    "ops/kubernetes/base/dispatcher.yaml",
    "ops/kubernetes/base/migrate.yaml",
    "ops/kubernetes/base/network.yaml",
    "ops/kubernetes/base/settings.yaml",
    "ops/kubernetes/base/worker.yaml",
    "ops/kubernetes/gpu/kustomization.yaml",
    "ops/runbook.md",
)


def _known() -> set[str]:
    return {
        f"{PREFIX}{room}{SEPARATOR}{field}".upper()
        for room, info in Settings.model_fields.items()
        for field in type(info.default).model_fields
    }


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_a_file_names_exists(name: str) -> None:
    """A reader who copies a variable changes something."""
    named = set(re.findall(r"\bUPSCALE_[A-Z0-9_]*[A-Z0-9]\b", (ROOT / name).read_text(encoding="utf-8")))
    known = _known()

    assert {variable for variable in named if variable.removesuffix("_FILE") not in known | {"UPSCALE_INTAKE"}} == set()

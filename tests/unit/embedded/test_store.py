from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.embedded import store
from pipeline.embedded.process import ChildFailed
from pipeline.embedded.store import Credentials, arguments, environment, executable


def test_command_line_keeps_to_loopback_and_reports_to_nobody(tmp_path: Path) -> None:
    """Telemetry is on and the address public by default; both must be turned off by name."""
    words = arguments(Path("/bin/weed"), tmp_path, 9000, tmp_path)
    assert {
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-s3.port=9000",
    } <= set(words)
    assert "-s3.autoCreateBucket=false" in words


def test_command_line_gives_every_port_once(tmp_path: Path) -> None:
    """Two stores on one machine never meet: no port is left to its default."""
    words = arguments(Path("/bin/weed"), tmp_path, 9000, tmp_path)
    ports = [word.rpartition("=")[2] for word in words if ".port" in word and not word.endswith("=0")]
    assert len(ports) == len(set(ports)) == 10


def test_environment_is_complete_and_bounds_memory(tmp_path: Path) -> None:
    """Nothing of our own environment reaches the server."""
    given = environment(tmp_path, Credentials("key", SecretStr("value")))
    assert set(given) == {"HOME", "TMPDIR", "GOMEMLIMIT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"]) == ("key", "value")


def test_executable_is_the_installed_one() -> None:
    """The program comes from the distribution, not from wherever PATH leads."""
    assert executable().is_absolute()
    assert executable().name == "weed"


def test_missing_executable_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed without the extra learns what to install."""
    monkeypatch.setattr(store, "DISTRIBUTION", "a-distribution-that-nobody-has")
    with pytest.raises(ChildFailed, match="embedded"):
        executable()

"""Ports that a state folder keeps."""

import socket
from pathlib import Path

import pytest

from pipeline.embedded.ports import FILE, keep_port, kept_ports
from pipeline.embedded.process import LOOPBACK, is_free


def test_port_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    """Each by its own name."""
    first = {name: keep_port(tmp_path, name) for name in ("store", "broker")}
    assert first["store"] != first["broker"]
    assert {name: keep_port(tmp_path, name) for name in ("broker", "store")} == first
    assert kept_ports(tmp_path) == first


def test_port_that_something_else_has_is_left_to_it_for_good(tmp_path: Path) -> None:
    """The next start would otherwise depend on whether that happens to run."""
    wanted, other = keep_port(tmp_path, "store"), keep_port(tmp_path, "broker")
    with socket.create_server((LOOPBACK, wanted)):
        chosen = keep_port(tmp_path, "store")
    assert chosen != wanted
    assert keep_port(tmp_path, "store") == chosen
    assert keep_port(tmp_path, "broker") == other


def test_port_is_free_again_as_soon_as_its_server_has_ended() -> None:
    """Connections that the server has closed linger for a minute, and a restart takes less."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        client = socket.create_connection((LOOPBACK, port))
        served, _ = server.accept()
        assert not is_free(port)
        served.close()
        client.close()
    assert is_free(port)


@pytest.mark.parametrize("content", [b"", b"{"])
def test_damaged_file_of_ports_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """A power cut must not keep a folder from starting."""
    (tmp_path / FILE).write_bytes(content)
    port = keep_port(tmp_path, "store")
    assert kept_ports(tmp_path) == {"store": port}

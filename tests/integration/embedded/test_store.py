"""The embedded store: alone on loopback, silent to the world, and the same again after any end."""

import os
import signal
import stat
from pathlib import Path

import pytest

from pipeline.embedded.process import ChildFailed, free_port
from pipeline.embedded.store import embedded_store, keep_credentials
from pipeline.storage.client import check, connect
from pipeline.storage.store import find_result, store_result
from tests.support.store import SOURCE, Picture, make_identity

pytestmark = pytest.mark.integration


def listening_on_other_than_loopback(pid: int) -> list[str]:
    """Local addresses of the listening TCP sockets of a process that are not 127.0.0.1, as the kernel shows them."""
    inodes = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if "socket:" in str(link.readlink())}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert listening
    return [row[1] for row in listening if not row[1].startswith("0100007F:")]


def pids_of(data: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if f"-dir={data}".encode() in words:
            found.append(int(line.parent.name))
    return found


async def test_store_keeps_objects_and_credentials_over_a_restart(tmp_path: Path) -> None:
    """The same folder is the same store, on another port too; nothing of it runs afterwards."""
    port = free_port()
    async with embedded_store(tmp_path, buckets=("upscale",), port=port) as first, connect(first.settings) as store:
        stored = await store_result(store, Picture(b"x" * 2**20), SOURCE, make_identity(), version="1")
        assert listening_on_other_than_loopback(pids_of(tmp_path)[0]) == []
    assert first.settings.endpoint == f"http://127.0.0.1:{port}"
    assert pids_of(tmp_path) == []

    async with embedded_store(tmp_path, buckets=("upscale", "more")) as second, connect(second.settings) as store:
        assert stored == await find_result(store, make_identity())
        async with connect(second.settings.model_copy(update={"bucket": "more"})) as more:
            await check(more)
    assert (first.settings.access_key, first.settings.secret_key) == (
        second.settings.access_key,
        second.settings.secret_key,
    )
    assert first.settings.endpoint != second.settings.endpoint


async def test_stored_object_survives_a_kill(tmp_path: Path) -> None:
    """What was acknowledged is there after SIGKILL."""
    async with embedded_store(tmp_path, buckets=("upscale",)) as running, connect(running.settings) as store:
        stored = await store_result(store, Picture(b"picture"), SOURCE, make_identity(), version="1")
        for pid in pids_of(tmp_path):
            os.kill(pid, signal.SIGKILL)

    async with embedded_store(tmp_path, buckets=("upscale",)) as running, connect(running.settings) as store:
        assert stored == await find_result(store, make_identity())


async def test_store_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    """It neither waits nor passes the other server off as its own."""
    async with embedded_store(tmp_path / "first", buckets=("upscale",)) as running:
        taken = int(str(running.settings.endpoint).rpartition(":")[2])
        with pytest.raises(ChildFailed, match=f"port {taken}"):
            async with embedded_store(tmp_path / "second", buckets=("upscale",), port=taken):
                pass


def test_credentials_are_drawn_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    """Each folder has its own, and the file's mode keeps others out."""
    drawn = keep_credentials(tmp_path / "one")

    assert drawn == keep_credentials(tmp_path / "one")
    assert drawn != keep_credentials(tmp_path / "two")
    assert stat.S_IMODE((tmp_path / "one" / "credentials.json").stat().st_mode) == 0o600
    assert drawn.secret_key.get_secret_value() not in repr(drawn)

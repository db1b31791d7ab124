"""Servers that misbehave while weights are fetched: each ends in the file or in a sentence, and nothing is lost."""

import asyncio
import fcntl
import os
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from pipeline.gpu.models.specs import OfficialWeights
from pipeline.model_settings import ModelSettings
from pipeline.tools.download import RESUMES, download, open_session
from pipeline.tools.partial_file import DownloadFailed, Partial, alone, partial
from tests.support.hostile_http import Script, answer, drip, hostile_server, raw, redirect, reset, silent
from tests.support.published import pinned

BODY = os.urandom(100_000)
PUBLISHED = pinned(BODY)
HALF = 50_000
STALL_SECONDS = 0.2
TAG = 'ETag: "one"'


@pytest.fixture
async def session(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiohttp.ClientSession]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    settings = ModelSettings(connect_timeout_seconds=1.0, stall_timeout_seconds=STALL_SECONDS)
    async with open_session(settings) as opened:
        yield opened


@pytest.fixture
def target(tmp_path: Path) -> Partial:
    return partial(tmp_path / "models", PUBLISHED)


async def fetch(
    session: aiohttp.ClientSession, target: Partial, *scripts: Script, published: OfficialWeights = PUBLISHED
) -> list[bytes]:
    """The heads of the requests it took."""
    async with hostile_server(*scripts) as server:
        try:
            await download(session, URL(server.url("/tiny.pth")), published, target, lambda _: None)
        finally:
            heads = server.requests
    return heads


async def failure(session: aiohttp.ClientSession, target: Partial, *scripts: Script) -> str:
    with pytest.raises(DownloadFailed) as failed:
        await fetch(session, target, *scripts)
    return str(failed.value)


def cut_off(sent: int = HALF, *headers: str, start: int = 0, status: int = 200) -> Script:
    """Announces the rest of the file from `start`, and ends after `sent` bytes of it."""
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(BODY) - start}", *headers)
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + BODY[start : start + sent])


def rest(start: int = HALF, body: bytes = BODY) -> Script:
    return answer(body[start:], status=206, headers=(f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}",))


def begun(target: Partial, content: bytes = BODY[:HALF], validator: str | None = None) -> Partial:
    target.path.parent.mkdir()
    target.path.write_bytes(content)
    target.began(validator)
    return target


async def test_file_is_fetched_whole_and_progress_is_told(session: aiohttp.ClientSession, target: Partial) -> None:
    told: list[int] = []
    async with hostile_server(answer(BODY)) as server:
        await download(session, URL(server.url()), PUBLISHED, target, told.append)
    assert target.path.read_bytes() == BODY
    assert told == sorted(told)
    assert told[-1] == len(BODY)


async def test_redirect_is_followed_as_release_addresses_need(session: aiohttp.ClientSession, target: Partial) -> None:
    await fetch(session, target, redirect("/elsewhere"), answer(BODY))
    assert target.path.read_bytes() == BODY


async def test_connection_that_breaks_is_gone_on_with_in_the_same_call(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    """Only the missing bytes are asked for, and only of the same version."""
    heads = await fetch(session, target, cut_off(HALF, TAG), rest())
    assert target.path.read_bytes() == BODY
    assert b"range" not in heads[0].lower()
    assert b"Range: bytes=50000-\r\n" in heads[1]
    assert b'If-Range: "one"\r\n' in heads[1]


async def test_partial_of_an_earlier_call_is_gone_on_with(session: aiohttp.ClientSession, target: Partial) -> None:
    heads = await fetch(session, begun(target, validator='"one"'), rest())
    assert target.path.read_bytes() == BODY
    assert len(heads) == 1


async def test_partial_without_a_version_is_gone_on_with(session: aiohttp.ClientSession, target: Partial) -> None:
    """A server without tags: the digest tells in the end."""
    heads = await fetch(session, begun(target), rest())
    assert target.path.read_bytes() == BODY
    assert b"if-range" not in heads[0].lower()


async def test_weak_tag_is_not_used_for_ranges(session: aiohttp.ClientSession, target: Partial) -> None:
    when = "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT"
    heads = await fetch(session, target, cut_off(HALF, 'ETag: W/"one"', when), rest())
    assert b"If-Range: Sat, 01 Jan 2022 00:00:00 GMT\r\n" in heads[1]


async def test_server_that_ignores_ranges_sends_all_again(session: aiohttp.ClientSession, target: Partial) -> None:
    """And what was there is not put in front of it."""
    await fetch(session, begun(target), answer(BODY))
    assert target.path.read_bytes() == BODY


async def test_file_that_changed_between_calls_replaces_what_was_begun(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    begun(target, b"x" * HALF, '"old"')
    heads = await fetch(session, target, answer(BODY, headers=('ETag: "new"',)))
    assert b'If-Range: "old"' in heads[0]
    assert target.path.read_bytes() == BODY
    assert target.validator() == '"new"'


@pytest.mark.parametrize(
    "stale",
    [
        answer(b"", status=416),
        answer(BODY[10:], status=206, headers=("Content-Range: bytes 10-99999/100000",)),
        answer(BODY[HALF:], status=206, headers=("Content-Range: bytes 50000-99999/200000",)),
        answer(BODY[HALF:], status=206),
    ],
)
async def test_server_that_cannot_go_on_is_asked_for_all(
    session: aiohttp.ClientSession, target: Partial, stale: Script
) -> None:
    """A file that is shorter there, another part of it, or a part of another."""
    heads = await fetch(session, begun(target), stale, answer(BODY))
    assert target.path.read_bytes() == BODY
    assert b"range" not in heads[1].lower()


async def test_server_that_always_truncates_ends_the_call_and_loses_nothing(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    told = await failure(session, target, cut_off(HALF), cut_off(0, "Content-Range: bytes 50000-99999/100000",
                                                                 start=HALF, status=206))  # fmt: skip
    assert "tiny.pth: the connection to 127.0.0.1 broke: ClientPayloadError" in told
    assert "50000 of 100000 bytes are kept, and the next call goes on from there" in told
    assert target.path.read_bytes() == BODY[:HALF]


async def test_server_that_breaks_after_every_few_bytes_is_not_asked_for_ever(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    scripts = [
        cut_off(10, f"Content-Range: bytes {start}-99999/100000", start=start, status=206 if start else 200)
        for start in range(0, 200, 10)
    ]
    async with hostile_server(*scripts) as server:
        with pytest.raises(DownloadFailed, match="broke 6 times; 60 of 100000 bytes are kept"):
            await download(session, URL(server.url()), PUBLISHED, target, lambda _: None)
    assert len(server.requests) == RESUMES + 1


async def test_answer_that_ends_early_without_a_length_is_noticed(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    """A server that announces no length ends when it likes."""
    await fetch(session, target, raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY[:HALF]), rest())
    assert target.path.read_bytes() == BODY


async def test_server_that_stalls_is_left(session: aiohttp.ClientSession, target: Partial) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    async with asyncio.timeout(20 * STALL_SECONDS):
        told = await failure(session, target, drip(head + BODY[:10]), silent())
    assert "127.0.0.1 fell silent; 10 of 100000 bytes are kept" in told


async def test_connection_reset_keeps_what_has_come(session: aiohttp.ClientSession, target: Partial) -> None:
    told = await failure(session, begun(target), reset())
    assert "50000 of 100000 bytes are kept" in told


async def test_server_that_is_not_there_is_named(session: aiohttp.ClientSession, target: Partial) -> None:
    async with hostile_server(silent()) as server:
        address = URL(server.url())
    with pytest.raises(DownloadFailed, match=r"tiny\.pth: cannot reach 127\.0\.0\.1: "):
        await download(session, address, PUBLISHED, target, lambda _: None)


@pytest.mark.parametrize("length", [99_999, 100_001, 10**15])
async def test_server_that_announces_another_length_is_not_listened_to(
    session: aiohttp.ClientSession, target: Partial, length: int
) -> None:
    """The page of a proxy, say: what had come of the file is not given up for it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    told = await failure(session, begun(target), raw(head + BODY[:length]))
    assert f"tiny.pth: must be 100000 bytes, the server announces {length} where 100000 are missing" in told
    assert target.path.read_bytes() == BODY[:HALF]


async def test_server_that_sends_more_than_the_file_is_cut_off(session: aiohttp.ClientSession, target: Partial) -> None:
    """No length announced: it is left at the first byte too many, and nothing of it is kept."""
    told = await failure(session, target, raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + 3 * BODY))
    assert told == "tiny.pth: must be 100000 bytes, the server sends more"
    assert not target.path.exists()


@pytest.mark.parametrize("status", [404, 403, 500, 503])
async def test_refusal_is_told_with_its_number(session: aiohttp.ClientSession, target: Partial, status: int) -> None:
    """And what had come before is not lost for it."""
    assert f"the server answered {status}" in await failure(session, begun(target), answer(b"no", status=status))
    assert target.path.read_bytes() == BODY[:HALF]


async def test_part_that_nobody_asked_for_is_refused(session: aiohttp.ClientSession, target: Partial) -> None:
    assert "the server answered 206" in await failure(session, target, rest())


async def test_compressed_answer_is_refused(session: aiohttp.ClientSession, target: Partial) -> None:
    told = await failure(session, target, answer(BODY, headers=("Content-Encoding: gzip",)))
    assert told == "tiny.pth: the server compresses it, unasked"


async def test_file_that_another_process_fetches_is_left_to_it(session: aiohttp.ClientSession, target: Partial) -> None:
    target.path.parent.mkdir()
    with target.path.with_name(f"{target.path.name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert "another process is fetching it" in await failure(session, target, answer(BODY))


async def test_nothing_but_the_file_is_left_when_it_is_there(session: aiohttp.ClientSession, target: Partial) -> None:
    """Not the lock either, nor after a failure."""
    await failure(session, target, answer(b"no", status=500))
    assert not list(target.path.parent.iterdir())
    await fetch(session, target, answer(BODY))
    assert [path.name for path in target.path.parent.iterdir()] == [target.path.name]


def test_lock_that_is_removed_each_time_is_still_held_by_one_at_a_time(target: Partial) -> None:
    """Four who want it all the time: each opens what another is about to remove, and two never have it."""
    inside, seen = [0], [0]

    def often(_: int) -> int:
        got = 0
        for _ in range(1000):
            with suppress(DownloadFailed), alone(target):
                inside[0] += 1
                os.sched_yield()
                seen[0] = max(seen[0], inside[0])
                got += 1
                inside[0] -= 1
        return got

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(often, range(4))) > 0
    assert seen == [1]
    assert not list(target.path.parent.iterdir())


async def test_partial_that_is_too_long_is_begun_anew(session: aiohttp.ClientSession, target: Partial) -> None:
    await fetch(session, begun(target, BODY + b"more"), answer(BODY))
    assert target.path.read_bytes() == BODY


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from yarl import URL
from pipeline.model_settings import ModelSettings
from pipeline.tools.download import download, open_session
from pipeline.tools.partial_file import DownloadFailed, Partial
from pipeline.gpu.models.specs import OfficialWeights

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

async def main():
    async with open_session(ModelSettings()) as session:
        known = OfficialWeights("tiny.pth", "0" * 64, "", 100_000)
        try:
            await download(session, URL(sys.argv[1]), known, Partial(Path(sys.argv[2])), lambda _: None)
        except DownloadFailed as error:
            print(error)

asyncio.run(main())
"""


async def test_full_disk_is_told_and_what_has_come_is_gone_on_with(
    session: aiohttp.ClientSession, target: Partial
) -> None:
    """The limit on the size of a process's files stands for the disk: writing fails half way through a chunk."""
    target.path.parent.mkdir()
    async with hostile_server(answer(BODY), rest(65_536)) as server:
        process = await create_subprocess_exec(
            sys.executable, "-c", FULL_DISK, server.url(), str(target.path), stdout=PIPE
        )
        said, _ = await process.communicate()
        assert b"cannot be written: File too large; what has come is kept" in said
        assert target.path.read_bytes() == BODY[:65_536]
        await download(session, URL(server.url()), PUBLISHED, target, lambda _: None)
    assert target.path.read_bytes() == BODY

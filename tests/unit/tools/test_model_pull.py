"""Published files are installed whole and verified, several at a time, or it is said why not."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import torch
from yarl import URL

from pipeline.errors import PipelineError
from pipeline.gpu.models import models_folder, weights
from pipeline.gpu.models.convert import convert
from pipeline.gpu.models.models_folder import Manifest
from pipeline.gpu.models.specs import ModelSpec, OfficialWeights
from pipeline.model_settings import ModelSettings
from pipeline.tools.download import open_session
from pipeline.tools.model_pull import Parcel, Pull, Pulled, check_room, located, parcels
from pipeline.tools.partial_file import DownloadFailed, partial
from tests.support.hostile_http import Script, answer, hostile_server
from tests.support.published import numbers, pinned, publishing, weights_file

BLOB = weights_file()
SPEC = publishing(BLOB)
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
async def session(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiohttp.ClientSession]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with open_session(ModelSettings(stall_timeout_seconds=0.2)) as opened:
        yield opened


def pulling(session: aiohttp.ClientSession, source: str | None, folder: Path, concurrency: int = 3) -> Pull:
    def install(spec: ModelSpec, published: OfficialWeights, path: Path) -> Manifest:
        return convert(spec, published, path, folder, now=NOW)

    return Pull(session, source, folder, install, concurrency, lambda _parcel, _have: None)


async def pulled(
    session: aiohttp.ClientSession, folder: Path, *scripts: Script, spec: ModelSpec = SPEC
) -> list[Pulled]:
    async with hostile_server(*scripts) as server:
        return await pulling(session, server.url(""), folder).all(parcels([spec]))


def installed(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("tiny.*")}


async def test_model_is_pulled_verified_converted_and_loads(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """What is left in the folder are the weights and their manifest; they are the numbers of the published file."""
    folder = tmp_path / "models"
    (done,) = await pulled(session, folder, answer(BLOB))

    found = weights.load(SPEC, folder)
    manifest = models_folder.read_manifest(folder, "tiny")
    assert done.failure is None
    assert set(installed(folder)) == {"tiny.json", "tiny.safetensors"}
    assert not partial(folder, pinned(BLOB)).path.exists()
    assert torch.equal(found.tensors["body.0.weight"], numbers()["body.0.weight"])
    assert found.sha256 == SPEC.official.sha256
    assert manifest is not None
    assert (manifest.origin, manifest.licence, manifest.installed) == (
        "https://release.invalid/tiny.pth", "BSD-3-Clause", "2026-01-31T12:00:00+00:00",
    )  # fmt: skip


async def test_wrong_file_is_refused_by_name_and_nothing_is_changed(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Of the right length and with another content; what was installed before stays in use."""
    assert (await pulled(session, tmp_path, answer(BLOB)))[0].failure is None
    other, before = publishing(weights_file(seed=1)), installed(tmp_path)
    assert other.official is not None

    (done,) = await pulled(session, tmp_path, answer(b"x" * len(weights_file(seed=1))), spec=other)

    assert done.failure is not None
    assert done.failure.startswith(f"tiny.pth: sha256 must be {other.official.sha256}, got ")
    assert done.failure.endswith("; nothing was installed")
    assert installed(tmp_path) == before
    assert partial(tmp_path, other.official).size() == 0


async def test_partial_of_another_version_is_thrown_away_and_fetched_anew(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A server without tags goes on with the new file behind the old one's beginning: the digest tells."""
    assert SPEC.official is not None
    half = len(BLOB) // 2
    partial(tmp_path, SPEC.official).path.write_bytes(b"x" * half)
    rest = answer(BLOB[half:], status=206, headers=(f"Content-Range: bytes {half}-{len(BLOB) - 1}/{len(BLOB)}",))

    (done,) = await pulled(session, tmp_path, rest, answer(BLOB))

    assert done.failure is None
    assert weights.load(SPEC, tmp_path).sha256 == SPEC.official.sha256


async def test_one_failure_holds_up_no_other(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Several at once, each with its own end, in the order asked."""
    specs = [publishing(weights_file(seed), f"tiny-{seed}", f"tiny-{seed}.pth") for seed in range(5)]

    async def by_name(reader: object, writer: object) -> None:
        name = server.requests[-1].split(b" ")[1].decode()
        seed = int(name[len("/tiny-") :].removesuffix(".pth"))
        script = answer(b"gone", status=404) if seed == 2 else answer(weights_file(seed))
        await script(reader, writer)

    async with hostile_server(by_name) as server:
        done = await pulling(session, server.url(""), tmp_path, concurrency=1).all(parcels(specs))
    assert [each.failure for each in done] == [None, None, "tiny-2.pth: the server answered 404 X", None, None]
    assert [weights.load(specs[seed], tmp_path).sha256 == specs[seed].official.sha256 for seed in (0, 1, 3, 4)]


async def test_pull_from_a_folder_needs_no_network(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    for source in (tmp_path / "usb", tmp_path / "other disk"):
        source.mkdir()
        (source / "tiny.pth").write_bytes(BLOB)
    for place in (str(tmp_path / "usb"), f"file:{tmp_path / 'usb'}", (tmp_path / "other disk").as_uri()):
        folder = tmp_path / "models" / place.replace("/", "")[-9:]
        (done,) = await pulling(session, place, folder).all(parcels([SPEC]))
        assert done.failure is None
        assert weights.load(SPEC, folder).sha256 == SPEC.official.sha256


async def test_folder_without_the_file_or_with_another_is_told(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    missing, wrong = tmp_path / "missing", tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "tiny.pth").write_bytes(BLOB[:-1])
    told = [(await pulling(session, str(each), tmp_path).all(parcels([SPEC])))[0].failure for each in (missing, wrong)]
    assert told[0] == f"{missing / 'tiny.pth'}: cannot be read: No such file or directory"
    assert told[1] is not None
    assert "sha256 must be" in told[1]


async def test_pickle_that_runs_code_is_refused_and_not_run(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """Even were its digest the pinned one."""
    touched = tmp_path / "touched"
    blob = f"cos\nsystem\n(S'touch {touched}'\ntR.".encode()
    (done,) = await pulled(session, tmp_path, answer(blob), spec=publishing(blob))
    assert done.failure is not None
    assert "tiny.pth: not a file of tensors" in done.failure
    assert not touched.exists()
    assert not (tmp_path / "tiny.json").exists()


async def test_other_file_under_the_published_name_is_set_aside(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """It would be met first and refused; it may be somebody's work, so it is kept."""
    (tmp_path / "tiny.pth").write_bytes(b"somebody's")
    assert (await pulled(session, tmp_path, answer(BLOB)))[0].failure is None
    assert weights.load(SPEC, tmp_path).sha256 == SPEC.official.sha256
    assert (tmp_path / "tiny.pth.refused").read_bytes() == b"somebody's"


async def test_folder_that_cannot_be_written_is_told(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file")
    (done,) = await pulled(session, tmp_path / "models", answer(BLOB))
    assert done.failure is not None
    assert done.failure.startswith(f"{tmp_path / 'models'}: cannot be written: ")


def test_disk_too_small_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    huge = replace(pinned(b""), size=free.f_bavail * free.f_frsize)
    with pytest.raises(DownloadFailed, match=f"needs {2 * huge.size} bytes of disk while it is installed"):
        check_room(tmp_path, huge, partial(tmp_path, huge))


def test_parcels_are_every_published_file_once() -> None:
    """That of the denoiser too."""
    spec = publishing(BLOB)
    assert parcels([spec, spec]) == [Parcel(spec, spec.official)]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (None, URL("https://release.invalid/tiny.pth")),
        ("https://mirror.example/weights", URL("https://mirror.example/weights/tiny.pth")),
        ("https://mirror.example/weights/", URL("https://mirror.example/weights/tiny.pth")),
        ("/mnt/weights", Path("/mnt/weights/tiny.pth")),
        ("file:/mnt/weights", Path("/mnt/weights/tiny.pth")),
        ("file:///mnt/my%20weights", Path("/mnt/my weights/tiny.pth")),
        ("weights", Path("weights/tiny.pth")),
    ],
)
def test_source_is_a_folder_or_an_address(source: str | None, place: URL | Path) -> None:
    assert located(pinned(BLOB), source) == place


@pytest.mark.parametrize("source", ["ftp://mirror.example/", "s3://bucket/weights"])
def test_source_of_another_kind_is_refused(source: str) -> None:
    with pytest.raises(PipelineError, match="must be a folder, or an https, http or file address"):
        located(pinned(BLOB), source)

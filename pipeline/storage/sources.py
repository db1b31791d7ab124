"""A caller's reference to a picture, understood and judged; nothing is contacted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.keys import RESULTS, UPLOADS, upload_key
from pipeline.storage.objects import SourceRef
from pipeline.storage.urls import UrlPolicy, UrlRefused, admit
from schemas.failures import FailureCode

MAX_KEY_BYTES = 1024
"""S3's own limit on a key, in UTF-8."""


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """What references we follow."""

    bucket: str
    """Our own: uploads and results."""
    other_buckets: tuple[str, ...]
    urls: UrlPolicy

    @classmethod
    def of(cls, store: StoreSettings, fetch: FetchSettings) -> Self:
        return cls(store.bucket, store.source_buckets, url_policy(fetch))


def url_policy(fetch: FetchSettings) -> UrlPolicy:
    """What of the settings concerns URLs."""
    return UrlPolicy(
        schemes=("https", "http") if fetch.allow_http else ("https",),
        extra_ports=fetch.extra_ports,
        allow_private=fetch.allow_private_addresses,
    )


def parse(source: str, *, tenant: str, policy: SourcePolicy) -> SourceRef:
    """Understand `https://…`, `http://…`, `s3://bucket/key` or `upload:NAME`.

    Raises `JobFailed` with `url_scheme_not_allowed` or `url_blocked`. The reference is judged as `tenant`'s: our own
    bucket shows a tenant its own results and uploads and nothing else.
    """
    scheme = source.partition(":")[0].lower()
    parser = _PARSERS.get(scheme, _parse_web)
    return parser(source, tenant, policy)


def _parse_web(source: str, _tenant: str, policy: SourcePolicy) -> SourceRef:
    try:
        url = admit(source, policy.urls)
    except UrlRefused as refused:
        raise JobFailed(refused.code, f"source: {refused.message}") from None
    return SourceRef("http" if url.scheme == "http" else "https", source)


def _parse_s3(source: str, tenant: str, policy: SourcePolicy) -> SourceRef:
    bucket, _, key = source[len("s3:") :].removeprefix("//").partition("/")
    _check_key(key)
    if bucket != policy.bucket and bucket not in policy.other_buckets:
        raise _blocked("source: this bucket is not among those that sources may name")
    if bucket == policy.bucket and not _is_own(tenant, key):
        raise _blocked("source: this object does not belong to the tenant of the request")
    return SourceRef("s3", source, bucket, key)


def _parse_upload(source: str, tenant: str, policy: SourcePolicy) -> SourceRef:
    name = source[len("upload:") :]
    _check_key(name)
    key = upload_key(tenant, name)
    _check_key(key)
    return SourceRef("upload", source, policy.bucket, key)


_PARSERS: dict[str, Callable[[str, str, SourcePolicy], SourceRef]] = {"s3": _parse_s3, "upload": _parse_upload}


def _check_key(key: str) -> None:
    """Stores that keep objects as files read `..` as a way up, so no segment may be empty or made of dots."""
    if not 0 < len(key.encode(errors="replace")) <= MAX_KEY_BYTES:
        raise _blocked(f"source: the key must have 1 to {MAX_KEY_BYTES} bytes, got {len(key.encode(errors='replace'))}")
    if not key.isprintable() or "\\" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise _blocked(
            "source: the key must not have control characters, backslashes or segments that are empty or dots"
        )


def _is_own(tenant: str, key: str) -> bool:
    """Whether it is a result or an upload of the tenant; whatever else lies in our bucket is nobody's to name."""
    room, _, rest = key.partition("/")
    return room in (RESULTS, UPLOADS) and rest.startswith(f"{tenant}/")


def _blocked(message: str) -> JobFailed:
    return JobFailed(FailureCode.URL_BLOCKED, message)

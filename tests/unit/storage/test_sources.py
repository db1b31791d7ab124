import pytest

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.objects import SourceRef
from pipeline.storage.sources import SourcePolicy, parse
from schemas.failures import FailureCode

POLICY = SourcePolicy.of(StoreSettings(bucket="upscale", source_buckets=("photos", "a.b.c")), FetchSettings())


def refusal(source: str, tenant: str = "acme", policy: SourcePolicy = POLICY) -> JobFailed:
    with pytest.raises(JobFailed) as failed:
        parse(source, tenant=tenant, policy=policy)
    return failed.value


@pytest.mark.parametrize(
    ("source", "bucket", "key"),
    [
        ("s3://photos/a/b c.png", "photos", "a/b c.png"),
        ("s3://a.b.c/x", "a.b.c", "x"),
        ("S3://photos/ü/%2e%2e/x", "photos", "ü/%2e%2e/x"),
        ("s3://upscale/results/acme/job/x.png", "upscale", "results/acme/job/x.png"),
        ("s3://upscale/uploads/acme/x", "upscale", "uploads/acme/x"),
        ("s3://photos/results/other/x.png", "photos", "results/other/x.png"),
        ("upload:cat.png", "upscale", "uploads/acme/cat.png"),
        ("upload:2026/cat.png", "upscale", "uploads/acme/2026/cat.png"),
    ],
)
def test_object_reference_names_bucket_and_key(source: str, bucket: str, key: str) -> None:
    """Keys are taken as written, without any decoding; uploads are the tenant's own."""
    ref = parse(source, tenant="acme", policy=POLICY)
    assert (bucket, key, source) == (ref.bucket, ref.key, ref.url)
    assert ref.scheme == source.partition(":")[0].lower()


def test_web_reference_is_kept_as_written() -> None:
    """A URL keeps its spelling and names no bucket."""
    url = "https://example.com/x.png?sig=A%2FB"
    assert parse(url, tenant="acme", policy=POLICY) == SourceRef("https", url)


def test_http_is_parsed_only_when_it_is_allowed() -> None:
    """The setting reaches the policy."""
    policy = SourcePolicy.of(StoreSettings(), FetchSettings(allow_http=True))
    assert parse("http://example.com/x", tenant="acme", policy=policy).scheme == "http"
    assert refusal("http://example.com/x").code is FailureCode.URL_SCHEME_NOT_ALLOWED


@pytest.mark.parametrize(
    "source",
    [
        "s3://upscale/results/other/job/x.png",
        "s3://upscale/uploads/other/x.png",
        "s3://upscale/uploads/acme2/x.png",
        "s3://upscale/jobs/acme/job/0.json",
        "s3://upscale/backup/all.tar",
        "s3://upscale/all.tar",
        "s3://upscale/acme/x.png",
        "s3://upscale/results/acme",
        "s3://upscale/results/",
        "s3://upscale/results",
        "s3://upscale/results/../results/other/x.png",
        "s3://upscale/results/acme/../other/x.png",
        "s3://upscale/./results/other/x.png",
        "s3://upscale//results/other/x.png",
        "s3://photos/../upscale/results/other/x.png",
        "s3://photos/a\\..\\x",
        "s3://photos/a\r\nb",
        "s3://photos/" + "x" * 1025,
        "s3://photos/",
        "s3://photos",
        "s3:photos/../x",
        "s3://elsewhere/x.png",
        "s3://169.254.169.254/latest/meta-data",
        "s3://photos@elsewhere/x",
        "s3://PHOTOS/x",
        "s3:///x",
        "upload:",
        "upload:../other/x.png",
        "upload:a/../../other/x.png",
        "upload:/x",
        "upload://elsewhere/x",
        "upload:.",
        "upload:" + "x" * 1020,
    ],
)
def test_object_of_another_tenant_or_bucket_is_blocked(source: str) -> None:
    """No spelling of a reference reaches another tenant's objects, what else lies there, or a bucket not listed."""
    failed = refusal(source)
    assert failed.code is FailureCode.URL_BLOCKED
    assert failed.message.startswith("source: ")


@pytest.mark.parametrize("source", ["ftp://example.com/x", "file:///etc/passwd", "gopher://x", "", "cat.png", "C:\\x"])
def test_reference_of_no_known_kind_is_refused(source: str) -> None:
    """What we cannot follow is named as such."""
    assert refusal(source).code in (FailureCode.URL_SCHEME_NOT_ALLOWED, FailureCode.URL_BLOCKED)

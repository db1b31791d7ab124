"""Signed addresses are those of the library, which is AWS's own."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage.sigv4 import Credentials, signed_url

BASES = (
    "https://b.s3.eu-central-1.amazonaws.com/",
    "http://127.0.0.1:8333/b/",
    "https://s3.example:443/b/",
    "http://s3.example:80/b/",
    "http://s3.example:443/",
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20)


@given(
    base=st.sampled_from(BASES),
    key=TEXTS,
    names=st.tuples(NAMES, TEXTS, NAMES),
    token=st.none() | TEXTS,
    seconds=st.integers(1, 604_800),
    now=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  the zone is added below
)
def test_address_is_signed_as_the_library_signs_it(
    base: str, key: str, names: tuple[str, str, str], token: str | None, seconds: int, now: datetime
) -> None:
    """To the last byte, for any key, any credentials and at any time."""
    access_key, secret_key, region = names
    url = base + quote(key, safe="/~")
    request = AWSRequest("GET", url)
    theirs = auth.S3SigV4QueryAuth(ReadOnlyCredentials(access_key, secret_key, token), "s3", region, expires=seconds)
    with patch.object(auth, "get_current_datetime", return_value=now):
        theirs.add_auth(request)
    ours = signed_url(url, Credentials(access_key, secret_key, token), region, seconds, now.replace(tzinfo=UTC))
    assert sorted(ours.partition("?")[2].split("&")) == sorted(str(request.url).partition("?")[2].split("&"))
    assert ours.partition("?")[0] == str(request.url).partition("?")[0]


def test_address_is_signed_as_the_documentation_of_aws_has_it() -> None:
    """Its example, with its credentials and its signature."""
    url = signed_url(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        "us-east-1",
        86_400,
        datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert url.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")

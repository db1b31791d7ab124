"""Addresses signed for a while: AWS Signature Version 4 in the query of a GET of an object. Pure.

The algorithm is that of the AWS documentation, "Authenticating Requests: Using Query Parameters". The library's signer
takes 0.1 ms for an address, an eighth of what telling a receiver costs in all; a test holds the two to be equal.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
PAYLOAD = "UNSIGNED-PAYLOAD"
"""What a GET is to carry is not known when its address is made."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whose signature it is."""

    access_key: str
    secret_key: str
    token: str | None = None
    """Of credentials that are lent."""


def signed_url(url: str, credentials: Credentials, region: str, seconds: int, now: datetime) -> str:
    """`url`, percent-encoded and without a query, for whoever has it to read for `seconds` from `now`, in UTC."""
    scheme, host, path = urlsplit(url)[:3]
    # As clients write it in their `Host` header, which is what the store compares.
    host = host.removesuffix(DEFAULT_PORTS.get(scheme, ""))
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    fields = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    } | ({"X-Amz-Security-Token": credentials.token} if credentials.token else {})
    query = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(fields.items()))
    canonical = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\n{PAYLOAD}"
    to_sign = f"{ALGORITHM}\n{time}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, time[:8], region)
    return f"{url}?{query}&X-Amz-Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"


@lru_cache(16)
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    """Of one day; others follow from it."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

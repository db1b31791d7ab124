"""What may stand in a URL that a caller names; decided on the text alone, before any name is resolved."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from yarl import URL

from pipeline.errors import PipelineError
from pipeline.storage.addresses import vet
from schemas.failures import FailureCode

DEFAULT_PORTS = {"http": 80, "https": 443}
NOT_PUBLIC = "its host does not lead to a public address"
MALFORMED = (ValueError, IndexError)
"""What the URL library raises for a text that is no URL: `[]@` makes it look for a character that is not there."""
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"\d+|0x[0-9a-f]*")
# Names that resolvers answer from the machine or the network they stand in (RFC 6761, 6762, 8375, ICANN's .internal).
_INNER_SUFFIXES = ("localhost", "local", "internal", "home.arpa")


class UrlRefused(PipelineError):
    """A URL that we will not contact. `message` may be shown to whoever named it; it does not say which field."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What an outgoing request may be addressed to."""

    schemes: tuple[str, ...] = ("https",)
    extra_ports: tuple[int, ...] = ()
    """Ports beside the scheme's own. With `allow_private` every port is open."""
    allow_private: bool = False
    """Open private and loopback addresses, and names that only an inner network knows."""
    max_chars: int = 8192
    """Presigned URLs with session tokens reach a few thousand."""


def admit(text: str, policy: UrlPolicy) -> URL:
    """The URL of `text` as it will be requested, without its fragment. Raises `UrlRefused`.

    An ASCII URL is requested byte for byte as written: servers sign the spelling.
    """
    _check_characters(text, policy)
    parsed, authority = _split(text)
    if parsed.scheme not in policy.schemes:
        raise UrlRefused(
            FailureCode.URL_SCHEME_NOT_ALLOWED,
            f"the scheme must be {' or '.join(policy.schemes)}, got {parsed.scheme[:20]!r}",
        )
    if "@" in authority or "%" in authority:
        raise _blocked("user names, passwords and escapes are not allowed before the path")
    _check_port(parsed, policy)
    _check_host(parsed.raw_host or "", authority, policy)
    return (URL(text, encoded=True) if text.isascii() else parsed).with_fragment(None)


def _blocked(message: str) -> UrlRefused:
    return UrlRefused(FailureCode.URL_BLOCKED, message)


def _check_characters(text: str, policy: UrlPolicy) -> None:
    if len(text) > policy.max_chars:
        raise _blocked(f"at most {policy.max_chars} characters are allowed, got {len(text)}")
    if not text.isprintable() or " " in text or "\\" in text:
        raise _blocked("spaces, control characters and backslashes are not allowed in a URL")


def _split(text: str) -> tuple[URL, str]:
    try:
        return URL(text), urlsplit(text).netloc
    except MALFORMED:
        raise _blocked("this is not a well-formed URL") from None


def _check_port(url: URL, policy: UrlPolicy) -> None:
    allowed = (DEFAULT_PORTS[url.scheme], *policy.extra_ports)
    if not policy.allow_private and url.port not in allowed:
        raise _blocked(f"the port must be {' or '.join(map(str, allowed))}, got {url.port}")


def _check_host(host: str, authority: str, policy: UrlPolicy) -> None:
    if _is_literal(host):
        if not authority.isascii() or vet(host, allow_private=policy.allow_private) is not None:
            raise _blocked(NOT_PUBLIC)
        return
    labels = host.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        raise _blocked("the host is not a well-formed name")
    # A last label that is a number makes resolvers read the whole name as an IPv4 address: 127.1, 0x7f000001.
    if _NUMERIC.fullmatch(labels[-1]) or not _is_honest_idna(authority, labels):
        raise _blocked("the host is neither a name nor a plainly written address")
    if not policy.allow_private and _is_inner(labels):
        raise _blocked(NOT_PUBLIC)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_honest_idna(authority: str, labels: list[str]) -> bool:
    """Whether a name written in other letters is one, rather than an ASCII name in disguise (full width, circled)."""
    return authority.isascii() or any(label.startswith("xn--") for label in labels)


def _is_inner(labels: list[str]) -> bool:
    name = ".".join(labels)
    return len(labels) == 1 or any(name == suffix or name.endswith(f".{suffix}") for suffix in _INNER_SUFFIXES)

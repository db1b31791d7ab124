import pytest

from pipeline.storage.urls import UrlPolicy, UrlRefused, admit
from schemas.failures import FailureCode
from tests.support.forbidden import FORBIDDEN, ODD_SPELLINGS, as_host

BOTH = UrlPolicy(schemes=("https", "http"))


def refusal(text: str, policy: UrlPolicy = BOTH) -> UrlRefused:
    with pytest.raises(UrlRefused) as refused:
        admit(text, policy)
    return refused.value


@pytest.mark.parametrize("address", FORBIDDEN)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_url_with_an_inner_address_is_refused(scheme: str, address: str) -> None:
    """An address that must not be reached is refused as soon as it is read."""
    assert refusal(f"{scheme}://{as_host(address)}/x.png").code is FailureCode.URL_BLOCKED


@pytest.mark.parametrize(
    "host", [*ODD_SPELLINGS, "user@example.com", "user:pass@example.com", "ⓔxample.com", "ｅxample.com"]
)
def test_url_with_an_oddly_spelt_host_is_refused(host: str) -> None:
    """Spellings that may lead some resolver or parser elsewhere are refused as they stand."""
    assert refusal(f"https://{host}/x.png").code is FailureCode.URL_BLOCKED


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a/b.png",
        "https://example.com./x.png",
        "https://cdn-1.example_x.co.uk/x?y=1&sig=A%2FB%7E+c",
        "https://8.8.8.8/x.png",
        "https://[2606:4700::1111]/x.png",
        "https://1.example.com/x.png",
        "https://example.com/a//b/../c?d=e:f@g",
    ],
)
def test_url_of_a_public_host_is_requested_as_written(url: str) -> None:
    """Servers sign the spelling of a URL, so an ASCII one is not normalised."""
    assert str(admit(url, BOTH)) == url


@pytest.mark.parametrize("url", ["https://example.com:443/x.png", "http://example.com:80/x.png"])
def test_port_of_the_scheme_may_be_written_out(url: str) -> None:
    """Naming the port that would be taken anyway changes nothing."""
    assert admit(url, BOTH).port in (443, 80)


def test_url_in_other_letters_is_encoded() -> None:
    """An internationalised name and path become what goes over the wire."""
    assert str(admit("https://bücher.example/ü.png", BOTH)) == "https://xn--bcher-kva.example/%C3%BC.png"


def test_url_loses_its_fragment() -> None:
    """A fragment is the browser's business and is not sent."""
    assert str(admit("https://example.com/x.png#top", BOTH)) == "https://example.com/x.png"


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "file:///etc/passwd", "data:image/png,x", "//example.com/x", "x"]
)
def test_url_of_another_scheme_is_refused_by_name(url: str) -> None:
    """Only the schemes of the policy are followed, and the message says which they are."""
    refused = refusal(url)
    assert refused.code is FailureCode.URL_SCHEME_NOT_ALLOWED
    assert "https or http" in refused.message


def test_plain_http_is_refused_unless_the_policy_has_it() -> None:
    """Plain text can be changed on the way, so it is off by default."""
    assert refusal("http://example.com/x", UrlPolicy()).code is FailureCode.URL_SCHEME_NOT_ALLOWED


@pytest.mark.parametrize("url", ["https://example.com:80/x", "http://example.com:443/x", "https://example.com:8443/x"])
def test_port_of_another_service_is_refused(url: str) -> None:
    """Each scheme has its one port: others belong to services that were not meant to be asked."""
    refused = refusal(url)
    assert refused.code is FailureCode.URL_BLOCKED
    assert "port" in refused.message


def test_extra_port_is_admitted() -> None:
    """An operator can open further ports."""
    assert admit("https://example.com:8443/x", UrlPolicy(extra_ports=(8443,))).port == 8443


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "[::1]:9000", "localhost:9000", "minio:9000", "app.internal"])
def test_private_host_is_admitted_when_the_policy_opens_it(host: str) -> None:
    """For development, inner names and addresses may be named, on any port."""
    policy = UrlPolicy(schemes=("http",), allow_private=True)
    assert admit(f"http://{host}/x", policy).scheme == "http"


def test_url_that_is_too_long_is_refused_with_the_limit() -> None:
    """The message names the limit and the length."""
    url = "https://example.com/" + "x" * 8192
    assert {"8192", str(len(url))} <= set(refusal(url).message.replace(",", "").split())


@pytest.mark.parametrize(
    "host", ["example.com:99999", "example.com:80:80", "example.com:x", "-a.example", "a..example", "a" * 64 + ".com"]
)
def test_malformed_host_is_refused(host: str) -> None:
    """What is not a name or an address is refused, never passed on to a resolver."""
    assert refusal(f"https://{host}/x").code is FailureCode.URL_BLOCKED


@pytest.mark.parametrize(
    "url", ["https://[]@", "https://][@", "https://é[]@", "https://[]@example.com/", "https://h:-1"]
)
def test_text_that_the_library_stumbles_over_is_refused(url: str) -> None:
    assert refusal(url).code is FailureCode.URL_BLOCKED


def test_name_over_the_length_of_dns_is_refused() -> None:
    """A name has at most 253 characters."""
    assert refusal(f"https://{'a.' * 130}com/x").code is FailureCode.URL_BLOCKED

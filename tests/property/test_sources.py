from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from pipeline.errors import JobFailed
from pipeline.settings import FetchSettings, StoreSettings
from pipeline.storage.sources import SourcePolicy, parse
from pipeline.storage.web import redirect_target
from schemas.failures import FailureCode

POLICY = SourcePolicy.of(StoreSettings(bucket="upscale", source_buckets=("photos",)), FetchSettings(allow_http=True))
WORDS = "s3: upload: https: http: // / .. . @ # ? %2e upscale photos results uploads acme other 127.0.0.1 a.example :80"
PARTS = st.sampled_from([*WORDS.split(), "\\", "\x00", "ü", "１", "[::1]"])
AUTHORITIES = st.lists(st.sampled_from(["[", "]", "@", ":", "-", ".", "h", "ü", "99999"]), max_size=5).map("".join)
TEXTS = st.one_of(
    st.text(),
    st.lists(PARTS, max_size=12).map("".join),
    st.builds("{}//{}".format, st.sampled_from(("", "https:")), AUTHORITIES),
)


@given(TEXTS)
def test_parse_answers_any_text_with_a_reference_or_a_refusal(source: str) -> None:
    """Nothing but our own failure comes out, and an object of our bucket is the tenant's own."""
    ref, code = None, None
    try:
        ref = parse(source, tenant="acme", policy=POLICY)
    except JobFailed as failed:
        code = failed.code
    assert code in (None, FailureCode.URL_BLOCKED, FailureCode.URL_SCHEME_NOT_ALLOWED)
    if ref is not None and ref.bucket == "upscale" and ref.key is not None:
        assert ".." not in ref.key.split("/")
        assert ref.key.startswith(("results/acme/", "uploads/acme/"))


@given(TEXTS)
def test_any_redirect_leads_to_a_url_or_to_a_refusal(location: str) -> None:
    """What a server sends is never an error of ours: a worker that counts too many of those ends itself."""
    code = None
    try:
        redirect_target(URL("https://a.example/x"), location, POLICY.urls)
    except JobFailed as failed:
        code = failed.code
    assert code in (
        None,
        FailureCode.SOURCE_PROTOCOL_ERROR,
        FailureCode.URL_BLOCKED,
        FailureCode.URL_SCHEME_NOT_ALLOWED,
    )

"""Nothing secret and nothing unprintable reaches a log line."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.telemetry.redaction import MAX_CHARACTERS, REDACTED, plain, redacted, text

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters()) | st.integers(), inner)
        | st.frozensets(st.integers())
    ),
    max_leaves=10,
)


@given(ANYTHING)
def test_anything_becomes_json(value: object) -> None:
    """Lone surrogates, huge integers, bytes and objects included: a log call never raises."""
    orjson.dumps({"value": plain(value)})


@pytest.mark.parametrize(
    "name",
    ["password", "sasl_password", "SECRET_KEY", "access_key", "authorization", "Set-Cookie", "api_key", "apikey",
     "token", "X-Amz-Signature", "credentials"],
)  # fmt: skip
def test_values_of_secret_names_are_hidden(name: str) -> None:
    """By the name alone, at any depth."""
    assert redacted(name, "hunter2") == REDACTED
    assert plain({"a": [{name: "hunter2"}]}) == {"a": [{name: REDACTED}]}


@pytest.mark.parametrize("name", ["key", "bucket", "job_id", "origin", "stage", "tokenless"[5:]])
def test_values_of_other_names_are_shown(name: str) -> None:
    """A log that hides everything helps nobody."""
    assert redacted(name, "value") == "value"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://h/p?X-Amz-Signature=abc&y=1", f"https://h/p?{REDACTED}"),
        ("https://me:hunter2@h:8/p", f"https://{REDACTED}@h:8/p"),
        ("get 'https://h/p?a=b' failed", f"get 'https://h/p?{REDACTED}' failed"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("Signature=abc&Expires=1", f"Signature={REDACTED}&Expires=1"),
        ("what now?", "what now?"),
        ("a@b", "a@b"),
    ],
)
def test_urls_are_shown_without_what_opens_them(written: str, shown: str) -> None:
    """A signed link in a log is a key under the mat."""
    assert text(written) == shown


def test_long_texts_keep_their_ends() -> None:
    """The last line of a traceback says most; hiding comes before cutting."""
    cut = text("https://h/p?" + "s" * 10 + " " + "x" * 100_000 + " the end")
    assert len(cut) < MAX_CHARACTERS + 10
    assert cut.startswith(f"https://h/p?{REDACTED} ")
    assert cut.endswith(" the end")


def test_deep_values_are_cut_off() -> None:
    """A log line has a bounded depth, and a value that holds itself an end."""
    value: list[object] = []
    value.append(value)
    assert "[...]" in orjson.dumps(plain(value)).decode()


def test_an_object_whose_own_words_fail_is_told_by_its_type() -> None:
    """The line is written all the same."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("boom")

    assert plain(Broken()) == "<Broken>"

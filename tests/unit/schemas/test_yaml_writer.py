"""What is written as YAML reads back as the same value."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.yaml_writer import to_yaml
from tests.support.events import TEXT

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXT
DOCUMENTS = st.dictionaries(
    TEXT, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
)


@given(DOCUMENTS)
def test_yaml_reads_back_what_was_written(document: dict[str, object]) -> None:
    """For every document, with a reader that we did not write."""
    assert yaml.safe_load(to_yaml({"document": document})) == {"document": document}


@pytest.mark.parametrize("word", ["no", "on", "Null", "y", "1.0", "", " ", "a: b", "#", "-", "é", "a\nb"])
def test_yaml_keeps_words_words(word: str) -> None:
    """As a name and as a value."""
    assert yaml.safe_load(to_yaml({word: word})) == {word: word}


def test_yaml_is_in_block_style() -> None:
    """One line for each fact, so that a change shows as the line it is."""
    assert to_yaml({"a": {"b.c": [1, {"d": "e"}]}, "f": [], "g": {}}) == (
        'a:\n  b.c:\n    - 1\n    -\n      d: "e"\nf: []\ng: {}\n'
    )

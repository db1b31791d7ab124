"""What the page of the events shows is what the program does."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.build import FOLDER
from schemas.codec import decode
from schemas.events import UpscaleRequested
from tests.support.events import TEXT

BLOCK = re.compile(r"<!-- job id -->\n```python\n(.*?)```\n<!-- end -->", re.DOTALL)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """The functions of the page; the examples in it are asserted as they are read."""
    found = BLOCK.search((FOLDER / "events.md").read_text(encoding="utf-8"))
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names


@given(TEXT.filter(bool), TEXT.filter(bool))
def test_job_of_an_event_without_a_name_is_the_one_that_the_page_computes(
    shown: dict[str, Any], source: str, event_id: str
) -> None:
    """Whoever left the name out finds the answer."""
    envelope = {"specversion": "1.0", "type": UpscaleRequested.type, "source": source, "id": event_id}
    event = decode(orjson.dumps({**envelope, "data": {"source": "s3://b/k"}}), [], origin="topic/0/7")
    assert event.data.subject == shown["of_event"](source, event_id)


@given(st.integers(0, 99), st.integers(0, 2**63))
def test_job_of_bare_json_without_a_name_is_the_one_that_the_page_computes(
    shown: dict[str, Any], partition: int, offset: int
) -> None:
    """The place is what the broker acknowledged."""
    event = decode(b'{"source": "s3://b/k"}', [], origin=f"upscale.requests.bulk/{partition}/{offset}")
    assert event.data.subject == shown["of_bare_json"]("upscale.requests.bulk", partition, offset)

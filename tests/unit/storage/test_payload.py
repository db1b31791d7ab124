import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.storage.payload import Data, Payload, payload_of_bytes, payload_of_file

CONTENT = bytes(range(256)) * 10


@pytest.fixture(params=["bytes", "bytearray", "memoryview", "array", "file"])
async def payload(request: pytest.FixtureRequest, tmp_path: Path) -> Payload:
    if request.param == "file":
        path = tmp_path / "content"
        path.write_bytes(CONTENT)
        return await payload_of_file(path)
    forms: dict[str, Data] = {
        "bytes": CONTENT,
        "bytearray": bytearray(CONTENT),
        "memoryview": memoryview(CONTENT),
        "array": np.frombuffer(CONTENT, np.uint16).data,
    }
    return await payload_of_bytes(forms[request.param])


async def test_payload_knows_its_size_and_digest(payload: Payload) -> None:
    """Counted and hashed in bytes, whatever holds them."""
    assert payload.size == len(CONTENT)
    assert payload.sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(("offset", "length"), [(0, 2560), (0, 1), (100, 300), (2000, 1000), (2560, 10)])
async def test_payload_reads_any_piece_again_and_again(payload: Payload, offset: int, length: int) -> None:
    """A retry sends the same bytes; the last piece may be shorter."""
    for _ in range(2):
        assert bytes(await payload.read(offset, length)) == CONTENT[offset : offset + length]


async def test_whole_payload_is_not_copied() -> None:
    """Tens of megabytes in memory are sent from where they lie."""
    payload = await payload_of_bytes(CONTENT)
    assert await payload.read(0, len(CONTENT)) is CONTENT

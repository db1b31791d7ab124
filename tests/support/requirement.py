"""What becomes of a test whose server cannot be had on this machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Unavailable(Exception):
    """A server cannot be had on this machine; the text says what is missing."""


@contextmanager
def required() -> Iterator[None]:
    """Skip with what is missing, and fail with it where `CI` is set: there nobody would read of a skip."""
    try:
        yield
    except Unavailable as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))

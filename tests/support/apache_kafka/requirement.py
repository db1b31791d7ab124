"""What becomes of a test where Apache Kafka cannot be had."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.apache_kafka.jars import Unavailable


@contextmanager
def required() -> Iterator[None]:
    """Skip with what is missing, and fail with it where `CI` is set: there nobody would read of a skip."""
    try:
        yield
    except Unavailable as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))

"""One line for each event, in one format, whoever logs."""

import errno
import io
import logging as standard
import warnings
from datetime import datetime
from typing import Any

import orjson
import pytest
import structlog

from pipeline.settings import TelemetrySettings
from pipeline.telemetry.logging import configure


def _lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


def _fail(error: Exception) -> None:
    raise error


def _configured(**settings: Any) -> io.StringIO:
    out = io.StringIO()
    configure(TelemetrySettings(**settings), out)
    return out


def test_line_is_one_json_object_with_level_and_utc_time() -> None:
    """What log collectors need, and no more than one line for each event."""
    out = _configured()
    structlog.get_logger().info("job", seconds=1.5, note="two\nlines")
    (line,) = _lines(out)
    time = datetime.fromisoformat(line.pop("timestamp"))
    assert time.utcoffset() is not None
    assert not time.utcoffset()
    assert line == {"event": "job", "level": "info", "seconds": 1.5, "note": "two\nlines"}


def test_bound_values_are_on_every_line() -> None:
    """`stage` and `job_id` are bound once, far from where is logged."""
    out = _configured()
    with structlog.contextvars.bound_contextvars(stage="stitch"):
        structlog.get_logger().info("job")
    assert _lines(out)[0]["stage"] == "stitch"


def test_level_is_the_least_that_is_written() -> None:
    """Less important lines cost nothing."""
    out = _configured(log_level="warning")
    structlog.get_logger().info("dropped")
    structlog.get_logger().warning("kept")
    assert [line["event"] for line in _lines(out)] == ["kept"]


def test_secrets_are_hidden_in_fields_and_in_tracebacks() -> None:
    """By name, and in the words of any exception."""
    out = _configured()
    try:
        _fail(ValueError("cannot get https://h/p?X-Amz-Signature=hunter2"))
    except ValueError:
        structlog.get_logger().exception("fetch_failed", password="hunter2")
    (line,) = _lines(out)
    assert "hunter2" not in out.getvalue()
    assert "ValueError: cannot get https://h/p?[redacted]" in line["exception"]


def test_standard_library_takes_the_same_way() -> None:
    """Lines of aiokafka and botocore are JSON too, named by their logger."""
    out = _configured()
    standard.getLogger("aiokafka").warning("lost %s", "https://h/p?sig=hunter2")
    (line,) = _lines(out)
    assert (line["logger"], line["event"], line["level"]) == ("aiokafka", "lost https://h/p?[redacted]", "warning")


def test_standard_library_keeps_its_tracebacks() -> None:
    """The cause is in them."""
    out = _configured()
    try:
        _fail(RuntimeError("boom"))
    except RuntimeError:
        standard.getLogger("aiohttp").exception("failed")
    assert "RuntimeError: boom" in _lines(out)[0]["exception"]


def test_standard_library_is_quiet_below_warning_whatever_our_level() -> None:
    """At debug, libraries log whole requests, signatures included."""
    out = _configured(log_level="debug")
    standard.getLogger("botocore").info("signed headers")
    standard.getLogger("botocore").debug("signed headers")
    structlog.get_logger().debug("ours")
    assert [line["event"] for line in _lines(out)] == ["ours"]


def test_badly_formatted_and_oddly_levelled_records_are_written_all_the_same() -> None:
    """Somebody else's mistake in a log call is not an exception of ours."""
    out = _configured()
    standard.getLogger("x").warning("got %d", "text")
    standard.getLogger("x").log(35, "in between")
    assert [(line["event"], line["level"]) for line in _lines(out)] == [
        ("got %d ['text']", "warning"),
        ("in between", "warning"),
    ]


def test_warnings_are_lines() -> None:
    """Python's own warnings would otherwise be stray text on stderr."""
    out = _configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    assert "careful" in _lines(out)[0]["event"]


def test_configuring_twice_does_not_write_twice() -> None:
    """The last one counts."""
    first, second = _configured(), _configured()
    standard.getLogger("x").warning("once")
    assert first.getvalue() == ""
    assert len(_lines(second)) == 1


def test_console_is_for_people() -> None:
    """Plain text without escape codes where no terminal is, and no secret either."""
    out = _configured(log_format="console")
    structlog.get_logger().info("job", password="hunter2", lane="bulk")
    assert "lane=bulk" in out.getvalue()
    assert "hunter2" not in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_default_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """Where containers look."""
    configure(TelemetrySettings())
    structlog.get_logger().info("job")
    assert orjson.loads(capsys.readouterr().out)["event"] == "job"


class _Full(io.StringIO):
    """A file on a disk without room."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_line_that_cannot_be_written_is_lost_and_nothing_else() -> None:
    """A disk that is full of logs does not end jobs."""
    configure(TelemetrySettings(), _Full())
    structlog.get_logger().warning("lost")

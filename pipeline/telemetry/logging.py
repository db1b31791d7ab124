"""Logging, configured once by the command line: one JSON object a line on stdout, or lines for people.

Whatever third-party libraries log through the standard library takes the same way.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pipeline.settings import TelemetrySettings
from pipeline.telemetry.redaction import plain, redacted

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: TelemetrySettings, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream`, stdout by default. Call once, before anything logs."""
    out = stream or sys.stdout
    level = LEVELS[settings.log_level]
    structlog.configure(
        processors=[*_SHARED, *_rendering(settings, out)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(out),
        cache_logger_on_first_use=False,
    )
    # Libraries log whole requests, signatures included, at debug level; and their info is not ours.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_ToStructlog()], force=True)
    logging.captureWarnings(capture=True)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Hide secrets and make every value one that JSON can carry."""
    return {name: redacted(name, value) for name, value in event.items()}


def _to_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return orjson.dumps(event).decode()


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _rendering(settings: TelemetrySettings, out: TextIO) -> tuple[Processor, ...]:
    """Exceptions become text before anything is hidden, for their words may hold a URL too."""
    if settings.log_format == "console":
        return structlog.processors.format_exc_info, redact, structlog.dev.ConsoleRenderer(colors=out.isatty())
    return structlog.processors.format_exc_info, redact, _to_json


class _LineLogger:
    """Writes a line for each event, or loses it: a full disk must not end the work that a line is about."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        with suppress(OSError):
            self._out.write(f"{line}\n")
            self._out.flush()

    debug = info = warning = error = critical = exception = log = msg


class _ToStructlog(logging.Handler):
    """Hands records of the standard library over, so that there is one format and one redaction."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        try:
            event = record.getMessage()
        except (TypeError, ValueError):
            event = f"{record.msg} {plain(record.args)}"
        level = max((known for known in LEVELS.values() if known <= record.levelno), default=logging.DEBUG)
        structlog.get_logger().log(level, event, **fields)

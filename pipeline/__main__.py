"""The command line: imports only the role or tool that is asked for."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import Protocol, cast

from pipeline import __version__, environment, settings
from pipeline.errors import PipelineError, ServiceRefused, ServiceUnreachable
from pipeline.telemetry import logging
from pipeline.tools.unsourced import hint


class Command(Protocol):
    """What a command's module offers."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def main(self, arguments: argparse.Namespace, config: settings.Settings) -> int:
        """Do it; returns the exit code. Raises `PipelineError` with a text for the operator."""


COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("pipeline.tools.demo", "upscale real photographs on this machine, broker and store included"),
    "up": ("pipeline.tools.up", "run broker, store, worker and dispatcher on this machine"),
    "submit": ("pipeline.tools.submit", "send pictures, follow them, download the results"),
    "worker": ("pipeline.worker.app", "the role that upscales"),
    "dispatcher": ("pipeline.dispatcher.app", "the role that calls webhooks"),
    "webhooks": (
        "pipeline.tools.webhooks",
        "endpoints and their secrets, what was delivered to them, and sending it again",
    ),
    "models": ("pipeline.tools.models", "list the networks; fetch, verify, import and remove their weights"),
    "topics": ("pipeline.tools.topics", "create or check the topics, and say how far behind their readers are"),
    "dlq": ("pipeline.tools.dlq", "list the records that were parked, look at them, play them again or drop them"),
    "bucket": ("pipeline.tools.bucket", "create or check our bucket"),
    "state": ("pipeline.tools.state", "make or check the tables of the database"),
    "doctor": ("pipeline.tools.doctor", "check device, weights, broker and store"),
    "bench": ("pipeline.tools.bench", "measure speed and quality beside peers"),
}
"""Name -> (module, summary). Modules are imported only when their command is asked for."""

ROLES = frozenset({"worker", "dispatcher"})
"""Commands whose log is their output; the others print for a person, and log only what is wrong."""

CANNOT_START = 1
USAGE = 2
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
NOBODY_READS = 141
"""The same with SIGPIPE: `| head` has seen enough."""


def build_parser(chosen: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """The parser with the arguments of the `chosen` commands; the others are only listed."""
    parser = argparse.ArgumentParser(prog="upscale", description="Image upscaling on a message queue.")
    parser.add_argument("--version", action="version", version=f"upscale {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name in chosen:
            _load(module).add_arguments(command)
    return parser


def _load(module: str) -> Command:
    return cast("Command", import_module(module))


def _log_for_a_person(telemetry: settings.TelemetrySettings) -> None:
    logging.configure(telemetry.model_copy(update={"log_level": "warning", "log_format": "console"}), sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Errors that an operator can cure are one line on stderr, never a traceback."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of files are bytes, and some are no text.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return NOBODY_READS
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _give_up_stdout()
        print(f"upscale: {error}", file=sys.stderr)
        return CANNOT_START
    return code


def _give_up_stdout() -> None:
    """Python would write what is left at its end, and fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: Sequence[str]) -> int:
    arguments = build_parser([word for word in words[:1] if word in COMMANDS]).parse_args(words)
    try:
        config = environment.load()
        if arguments.command not in ROLES:
            _log_for_a_person(config.telemetry)
        return _load(COMMANDS[arguments.command][0]).main(arguments, config)
    except settings.InvalidSettings as error:
        print(f"upscale: settings:\n{error}", file=sys.stderr)
        return CANNOT_START
    except (ServiceUnreachable, ServiceRefused) as error:
        print(f"upscale {arguments.command}: {'; '.join(filter(None, (str(error), hint(config))))}", file=sys.stderr)
        return CANNOT_START
    except PipelineError as error:
        print(f"upscale {arguments.command}: {error}", file=sys.stderr)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main())

"""What to do where `upscale up` has written its variables and the shell has not read them."""

import shlex
from pathlib import Path

from pipeline.settings import Settings

STATE = Path(".upscale")
"""Where `upscale up` keeps its state, unless it is told otherwise."""
SCRIPT = "env"
"""In that folder: a file for a shell to read, after which it reaches what `up` runs."""
ADDRESSES = (("kafka", "servers"), ("store", "endpoint"), ("state", "url"))


def hint(config: Settings, folder: Path = STATE) -> str:
    """What to type first, where the file is there and `config` names none of the services; empty otherwise.

    Whoever names a service means that one.
    """
    named = any(field in getattr(config, room).model_fields_set for room, field in ADDRESSES)
    script = folder / SCRIPT
    if named or not script.is_file():
        return ""
    return f"to reach what `upscale up` runs here, `. {shlex.quote(str(script))}` first"

"""Environment variables <-> what they set. Pure: the environment is an argument, and files are left to the caller."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import orjson
from pydantic import BaseModel, SecretStr

PREFIX = "UPSCALE_"
SEPARATOR = "__"
FROM_FILE = "_FILE"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One field and the text given for it."""

    name: str
    """The variable, as the operator wrote it."""
    room: str
    field: str
    text: str
    """The value, or the path of the file that holds it."""
    in_file: bool


def assignments(
    environment: Mapping[str, str], fields: Mapping[str, tuple[str, str]]
) -> tuple[list[Assignment], list[str]]:
    """What the environment sets, and a line for each variable that sets nothing or the same as another.

    `fields` maps a variable's name to its room and field. Case is forgiven. An empty value counts as unset, which is
    what an unset variable becomes on its way through Compose.
    """
    found: dict[tuple[str, str], Assignment] = {}
    wrong: list[str] = []
    for name, text in environment.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or _is_service_link(upper, text):
            continue
        in_file = upper not in fields and upper.endswith(FROM_FILE)
        target = fields.get(upper.removesuffix(FROM_FILE) if in_file else upper)
        if target is None:
            wrong.append(_unknown(name, fields))
        elif text and target in found:
            wrong.append(f"{name}: sets the same as {found[target].name}")
        elif text:
            found[target] = Assignment(name, *target, text, in_file)
    return list(found.values()), wrong


def _unknown(name: str, fields: Mapping[str, object]) -> str:
    """The value is not shown: a misspelt variable may hold a secret."""
    near = get_close_matches(name.upper(), fields, n=1)
    return f"{name}: is not a setting" + (f"; did you mean {near[0]}?" if near else "")


# Kubernetes sets variables like these for a Service whose name begins with `upscale`; nobody misspelt anything.
_SERVICE_NAME = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def _is_service_link(name: str, text: str) -> bool:
    return bool(_SERVICE_NAME.search(name) or (name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)))


def environment(settings: BaseModel) -> dict[str, str]:
    """The variables that make another process of this program read the same settings. Holds secrets: never log it."""
    return {
        variable(room, field): _written(getattr(getattr(settings, room), field))
        for room in type(settings).model_fields
        for field in type(getattr(settings, room)).model_fields
        if getattr(getattr(settings, room), field) is not None
    }


def _written(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return orjson.dumps(value).decode() if isinstance(value, (bool, tuple)) else str(value)


def variable(*path: str) -> str:
    """The environment variable of a field: `variable("kafka", "servers")` is `UPSCALE_KAFKA__SERVERS`."""
    return PREFIX + SEPARATOR.join(path).upper()

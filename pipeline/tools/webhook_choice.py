"""What an operator means: arguments of `upscale webhooks` -> what the rooms take. Pure."""

import argparse
import re
from collections.abc import Collection
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from pipeline.dispatcher.payload import RENDERERS
from pipeline.errors import PipelineError
from pipeline.state.endpoints import NewEndpoint
from pipeline.storage.urls import UrlPolicy, UrlRefused, admit
from pipeline.tools import choice
from pipeline.tools.letters import printable
from schemas.callbacks import WebhookEvent
from schemas.events import Tenant

SHOWN_CHARS = 200
"""Of a URL that was refused."""
_USER_INFO = re.compile(r"(?<=//)[^/]*@")
_TENANT: TypeAdapter[str] = TypeAdapter(Tenant)


def new_endpoint(arguments: argparse.Namespace, policy: UrlPolicy) -> NewEndpoint:
    """What is to be registered. Raises `PipelineError` naming the argument, what it must be and what it is."""
    return NewEndpoint(
        tenant=tenant(arguments.tenant),
        url=_url(arguments.url, policy),
        events=None if arguments.events is None else _events(arguments.events),
        payload=_one_of("--payload", arguments.payload, RENDERERS),
    )


def tenant(text: str) -> str:
    """A name that a tenant may have. Raises as `new_endpoint`."""
    try:
        return _TENANT.validate_python(text)
    except ValidationError:
        rule = "1 to 64 of letters, digits, '.', '_' and '-', the first a letter or a digit"
        raise PipelineError(f"--tenant: must be {rule}, got {text!r}") from None


def since(text: str, now: float) -> float:
    """Unix seconds of an age counted back from `now`, or of a point in time. Raises as `new_endpoint`."""
    return choice.since(text, datetime.fromtimestamp(now, UTC)).timestamp()


def without_query(url: str) -> str:
    """What may be shown: queries are often secrets."""
    return printable(url.partition("#")[0].partition("?")[0])


def _url(text: str, policy: UrlPolicy) -> str:
    try:
        return str(admit(text, policy))
    except UrlRefused as refused:
        got = _USER_INFO.sub("[redacted]@", without_query(text))[:SHOWN_CHARS]
        raise PipelineError(f"URL: {refused.message}; got {got!r}") from None


def _events(text: str) -> tuple[WebhookEvent, ...]:
    """Endpoints that are registered hear of ends only."""
    known = [event for event in WebhookEvent if event.terminal]
    wanted = {_one_of("--events", each.strip(), known) for each in text.split(",")}
    return tuple(event for event in known if event in wanted)


def _one_of(name: str, text: str, known: Collection[str]) -> str:
    if text not in known:
        raise PipelineError(f"{name}: must be {' or '.join(known)}, got {text!r}")
    return text

"""`upscale webhooks add|list|secret|rotate|log|resend|recover|test|enable|disable`: who is called, and with what."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import time

from pipeline.settings import Settings
from pipeline.tools import webhook_deliveries, webhook_endpoints
from pipeline.tools.webhook_desk import Desk, opened
from schemas.callbacks import DEFAULT_PAYLOAD

ACTIONS: dict[str, Callable[[argparse.Namespace, Desk], Awaitable[Sequence[str]]]] = {
    "add": webhook_endpoints.add,
    "list": webhook_endpoints.listing,
    "secret": webhook_endpoints.secret,
    "rotate": webhook_endpoints.rotate,
    "log": webhook_deliveries.log,
    "resend": webhook_deliveries.resend,
    "recover": webhook_deliveries.recover,
    "test": webhook_deliveries.test,
    "enable": webhook_endpoints.enable,
    "disable": webhook_endpoints.disable,
}
ENDPOINT_HELP = "its id, as `webhooks list` names it"
SINCE_HELP = "at most so long ago (90s, 30m, 2h, 7d) or since"
TENANT_KEYS_HELP = "the keys for the URLs that this tenant's requests name"

Add = Callable[..., argparse.ArgumentParser]
"""Makes the parser of one action."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale webhooks`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="|".join(ACTIONS))
    _add_endpoint_actions(actions.add_parser)
    _add_key_actions(actions.add_parser)
    _add_delivery_actions(actions.add_parser)


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when it was done. Raises `PipelineError` with a text for the operator otherwise."""
    for line in asyncio.run(_run(arguments, config, time())):
        print(line)
    return 0


async def _run(arguments: argparse.Namespace, config: Settings, now: float) -> Sequence[str]:
    async with opened(config, now) as desk:
        return await ACTIONS[arguments.action](arguments, desk)


def _add_endpoint_actions(action: Add) -> None:
    add = action("add", help="register a URL for all jobs of a tenant; prints its id and secret")
    add.add_argument("url", metavar="URL", help="https, at a public address")
    add.add_argument("--tenant", required=True, help="whose jobs")
    add.add_argument("--events", metavar="A,B", help="only these, such as upscale.completed (default: every end)")
    add.add_argument("--payload", default=DEFAULT_PAYLOAD, help=f"shape of the body (default: {DEFAULT_PAYLOAD})")
    listing = action("list", help="the endpoints and how they are doing, newest first")
    listing.add_argument("--tenant", help="of this tenant")
    listing.add_argument("--disabled", action="store_true", help="only those that are not called any more")
    listing.add_argument("--limit", metavar="N", help=f"at most so many (default: {webhook_endpoints.LISTED})")
    listing.add_argument("--json", action="store_true", help="a line of JSON for each endpoint instead")
    for name, meaning in (("enable", "call it again, as one that is well"), ("disable", "call it no more")):
        action(name, help=meaning).add_argument("endpoint", metavar="ENDPOINT", help=ENDPOINT_HELP)


def _add_key_actions(action: Add) -> None:
    secret = action("secret", help="what receivers verify with: all keys that sign at present")
    rotate = action("rotate", help="a new key; those before it sign along for a while")
    for each in (secret, rotate):
        owner = each.add_mutually_exclusive_group(required=True)
        owner.add_argument("endpoint", metavar="ENDPOINT", nargs="?", help=ENDPOINT_HELP)
        owner.add_argument("--tenant", help=TENANT_KEYS_HELP)
    rotate.add_argument("--ed25519", action="store_true", help="a pair of keys, of which receivers hold the public one")
    rotate.add_argument("--at-once", action="store_true", help="those before it sign no more: for one that has leaked")


def _add_delivery_actions(action: Add) -> None:
    log = action("log", help="what was sent where, how each attempt ended, and what is next; newest first")
    whose = log.add_mutually_exclusive_group()
    whose.add_argument("--endpoint", metavar="ENDPOINT", help=ENDPOINT_HELP)
    whose.add_argument("--tenant", help="on this tenant's behalf")
    log.add_argument("--job", metavar="JOB_ID", help="of this job")
    log.add_argument("--since", metavar="AGE|TIME", help=f"happened {SINCE_HELP}")
    log.add_argument("--limit", metavar="N", help=f"at most so many (default: {webhook_deliveries.LISTED})")
    log.add_argument("--json", action="store_true", help="a line of JSON for each delivery instead")
    resend = action("resend", help="send one message again, delivered or not")
    resend.add_argument("delivery", metavar="DELIVERY", help="its id, as `webhooks log` names it")
    recover = action("recover", help="send again what an endpoint has not got")
    recover.add_argument("endpoint", metavar="ENDPOINT", help=ENDPOINT_HELP)
    recover.add_argument("--since", metavar="AGE|TIME", required=True, help=f"what happened {SINCE_HELP}")
    test = action("test", help="send a `webhook.test`")
    test.add_argument("endpoint", metavar="ENDPOINT", help=ENDPOINT_HELP)

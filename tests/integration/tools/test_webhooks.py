"""`upscale webhooks`, as an operator calls it."""

import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from pipeline.settings import StateSettings, WebhookSettings
from pipeline.state.database import Database, open_database
from pipeline.state.endpoints import find, origins
from pipeline.state.records import Abandoned, Delivered, Endpoint, Next, Outcome, Reason, RetryAt
from schemas import webhooks as said
from schemas.callbacks import WebhookEvent
from tests.support.commands import Commands, Ended
from tests.support.deliveries import attempt, claimed, planned, recorded, registered
from tests.support.postgresql import PostgreSQL

pytestmark = pytest.mark.integration

URL = "https://hooks.example.com/up?token=secret"
RETRIED_AFTER = 3600.0
AGO = 90.0
"""How long ago the tests' deliveries happened, in seconds."""


@dataclass(frozen=True, slots=True)
class Tool:
    """The command on one database."""

    commands: Commands
    settings: StateSettings

    def lines(self, *words: str) -> list[str]:
        """What is printed when it is done."""
        ended = self._run(*words)
        assert (ended.code, ended.err) == (0, "")
        return ended.out.splitlines()

    def documents(self, *words: str) -> list[dict[str, Any]]:
        """The same of `--json`."""
        return [orjson.loads(line) for line in self.lines(*words, "--json")]

    def refused(self, *words: str) -> str:
        """The one line that is printed when it is not."""
        ended = self._run(*words)
        assert (ended.code, ended.out) == (1, "")
        prefix, _, told = ended.err.partition(": ")
        assert prefix == "upscale webhooks"
        assert told.index("\n") == len(told) - 1
        return told.rstrip()

    def added(self, *words: str) -> str:
        """The id of a new endpoint."""
        return self.lines("add", URL, "--tenant", "acme", *words)[0].split()[1]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        """The database that the command works on."""
        async with open_database(self.settings) as database:
            yield database

    async def attempted(self, endpoint_id: str, then: Next, outcome: Outcome = Outcome.UNAVAILABLE) -> str:
        """A delivery of a while ago, with one attempt; its id."""
        at = time.time() - AGO
        async with self.opened() as database:
            endpoint = await endpoint_named(database, endpoint_id)
            (name,) = await planned(database, endpoint, created_at=at)
            (pending,) = await claimed(database, at)
            await recorded(database, [attempt(pending, outcome, then, at=at)], at + 1)
        return name

    def _run(self, *words: str) -> Ended:
        url = self.settings.url.get_secret_value()
        return self.commands.run("webhooks", *words, environment={"UPSCALE_STATE__URL": url})


async def endpoint_named(database: Database, endpoint_id: str) -> Endpoint:
    async with database.read() as connection:
        found = await find(connection, endpoint_id)
    assert found
    return found


def in_file(path: Path) -> StateSettings:
    return StateSettings(url=SecretStr(f"sqlite:///{path}"))


@pytest.fixture(scope="module")
def migrated(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "state.db"
    environment = {"UPSCALE_STATE__URL": in_file(path).url.get_secret_value()}
    assert commands.run("state", "migrate", environment=environment).code == 0
    return path


@pytest.fixture
def tool(commands: Commands, migrated: Path, tmp_path: Path) -> Tool:
    """On a new database."""
    return Tool(commands, in_file(Path(shutil.copy(migrated, tmp_path))))


def test_endpoint_is_added_and_listed_without_its_query(tool: Tool) -> None:
    assert tool.lines("list") == ["no endpoints"]
    (first, second) = tool.lines("add", URL, "--tenant", "acme", "--events", "upscale.failed,upscale.completed")
    assert re.fullmatch(r"endpoint  ep_[0-9a-f]{32}", first)
    assert re.fullmatch(r"secret    whsec_[0-9A-Za-z+/]{43}=", second)
    _, key = tool.lines("secret", first.split()[1])
    assert key.split()[-1] == second.split()[1]
    _, row = tool.lines("list", "--tenant", "acme")
    assert row.split() == [first.split()[1], "registered", "acme", "https://hooks.example.com/up", "ok"]
    (document,) = tool.documents("list")
    assert document["events"] == ["upscale.completed", "upscale.failed"]
    assert tool.documents("list", "--tenant", "other") == []


def test_list_says_that_there_are_more(tool: Tool) -> None:
    for _ in range(2):
        tool.added()
    assert tool.lines("list", "--limit", "1")[-1] == "the newest 1; there are more, which --limit shows"
    assert [line.split()[0] for line in tool.lines("list", "--limit", "2")] == [
        "endpoint",
        *(each["endpoint"] for each in tool.documents("list")),
    ]


def test_test_call_is_planned_and_seen_in_the_log(tool: Tool) -> None:
    """Also where no dispatcher runs yet."""
    endpoint = tool.added()
    planned_line, look = tool.lines("test", endpoint)
    found = re.fullmatch(r"delivery ([0-9a-f-]{36}): due now", planned_line)
    assert found
    assert look == f"`upscale webhooks log --endpoint {endpoint}` shows what comes of it"
    head, names, where = tool.lines("log", "--endpoint", endpoint)
    assert re.fullmatch(r"\S+Z  webhook\.test  no job  due now", head)
    assert f"delivery {found[1]}, message msg_" in names
    assert where.strip() == f"acme, endpoint {endpoint}, https://hooks.example.com/up"
    (document,) = tool.documents("log", "--tenant", "acme")
    assert (document["state"], document["attempts"]) == ("pending", [])


async def test_test_call_arrives_as_the_contract_has_it(tool: Tool) -> None:
    """What waits in the database for a dispatcher is a body for receivers, with the URL's query."""
    endpoint = tool.added()
    tool.lines("test", endpoint)
    async with tool.opened() as database:
        (pending,) = await claimed(database, time.time() + 1)
    assert pending.url == URL
    body = said.WebhookBody.model_validate_json(pending.body)
    assert (body.type, body.data) == (WebhookEvent.TEST, said.TestCall())


def test_rotation_shows_both_keys_and_at_once_only_the_new_one(tool: Tool) -> None:
    endpoint = tool.added()
    _, first = tool.lines("secret", endpoint)
    assert first.split()[2] == "-"
    _, new, old = tool.lines("rotate", endpoint, "--ed25519")
    assert (new.split()[0], new.split()[2]) == ("v1a", "-")
    assert new.split()[-1].startswith("whpk_")
    assert old.split()[-1] == first.split()[-1]
    day = moment(old.split()[2]) - moment(new.split()[1])
    assert day == WebhookSettings().rotation_seconds
    assert tool.lines("secret", endpoint)[1:] == [new, old]
    _, only = tool.lines("rotate", endpoint, "--at-once")
    assert only.split()[-1] not in (first.split()[-1], new.split()[-1])
    assert tool.lines("secret", endpoint)[1:] == [only]


async def test_keys_of_a_tenant_are_those_of_the_urls_that_its_requests_name(tool: Tool) -> None:
    """And not those of what it has registered."""
    tenants = tool.lines("secret", "--tenant", "acme")
    assert tool.lines("secret", "--tenant", "acme") == tenants
    assert tool.lines("secret", tool.added()) != tenants
    async with tool.opened() as database, database.write() as connection:
        origin = ("acme", "https://hooks.example.com")
        named = (await origins(connection, [origin], time.time()))[origin]
    assert tool.lines("secret", named.id) == tenants
    assert "only registered endpoints are tested" in tool.refused("test", named.id)


async def test_log_tells_each_attempt_and_no_body(tool: Tool) -> None:
    endpoint = tool.added()
    at = time.time() - AGO + RETRIED_AFTER
    delivery = await tool.attempted(endpoint, RetryAt(at))
    head, _, where, made = tool.lines("log")
    assert re.fullmatch(r"\S+Z  upscale\.completed  job job  next attempt \S+Z", head)
    assert where.endswith("https://hooks.example.com/up")
    assert re.fullmatch(r"    1\.  \S+Z  -  unavailable  500 ms", made)
    (document,) = tool.documents("log")
    assert document["delivery"] == delivery
    assert moment(document["next_attempt"]) == pytest.approx(at, abs=0.001)
    assert "secret" not in str(document) + "".join(tool.lines("log"))


async def test_log_is_restricted_by_each_filter(tool: Tool) -> None:
    endpoint = tool.added()
    ours = await tool.attempted(endpoint, Delivered(), Outcome.DELIVERED)
    async with tool.opened() as database:
        other = await registered(database, "other")
        (theirs,) = await planned(database, other, created_at=time.time() - 2 * 86_400)

    def found(*words: str) -> list[str]:
        return [each["delivery"] for each in tool.documents("log", *words)]

    assert found() == [ours, theirs]
    assert found("--tenant", "other") == [theirs]
    assert found("--endpoint", endpoint) == [ours]
    assert found("--since", "1d") == [ours]
    assert found("--limit", "1") == [ours]
    assert found("--job", "job") == [ours, theirs]
    assert found("--job", "another") == []
    assert tool.lines("log", "--job", "another") == ["no deliveries"]
    assert tool.lines("log", "--limit", "1")[-1] == "the newest 1; there are more, which --limit shows"


async def test_what_was_delivered_is_sent_again(tool: Tool) -> None:
    """The same message, and the attempts before stay in the log."""
    delivery = await tool.attempted(tool.added(), Delivered(), Outcome.DELIVERED)
    assert tool.documents("log")[0]["state"] == "delivered"
    told, _ = tool.lines("resend", delivery)
    assert told == f"delivery {delivery}: due now"
    (document,) = tool.documents("log")
    assert (document["delivery"], document["state"], len(document["attempts"])) == (delivery, "pending", 1)


async def test_what_was_given_up_is_recovered_since_a_time(tool: Tool) -> None:
    """And nothing that is older, nor what has arrived."""
    endpoint = tool.added()
    delivery = await tool.attempted(endpoint, Abandoned(Reason.EXHAUSTED))
    await tool.attempted(endpoint, Delivered(), Outcome.DELIVERED)
    assert tool.lines("recover", endpoint, "--since", "30s")[0].startswith("0 undelivered since ")
    told, look = tool.lines("recover", endpoint, "--since", "2h")
    assert re.fullmatch(r"1 undelivered since \S+Z: due now", told)
    assert endpoint in look
    states = {each["delivery"]: each["state"] for each in tool.documents("log")}
    assert states.pop(delivery) == "pending"
    assert [*states.values()] == ["delivered"]


def test_disabled_endpoint_is_not_called_until_it_is_enabled(tool: Tool) -> None:
    endpoint, well = tool.added(), tool.added()
    tool.lines("test", endpoint)
    (told,) = tool.lines("disable", endpoint)
    assert told == f"{endpoint} is not called until `upscale webhooks enable {endpoint}`"
    (document,) = tool.documents("list", "--disabled")
    assert (document["endpoint"], document["state"], document["disabled_reason"]) == (endpoint, "disabled", "owner")
    (again,) = tool.lines("disable", endpoint)
    assert re.fullmatch(rf"{endpoint} was already disabled since \S+Z: owner", again)
    assert "first `upscale webhooks enable" in tool.refused("test", endpoint)
    assert tool.lines("log")[0].endswith("waits until its endpoint is enabled")
    (told,) = tool.lines("enable", endpoint)
    assert f"`upscale webhooks recover {endpoint} --since {document['disabled_at'][:19]}Z`" in told
    assert tool.documents("list", "--disabled") == []
    assert tool.lines("log")[0].endswith("due now")
    assert tool.lines("enable", well) == [f"{well} was not disabled; its failures are forgotten"]


def test_unknown_endpoint_is_named_with_where_to_look(tool: Tool) -> None:
    told = "ENDPOINT: no endpoint has the id 'ep_x'; `upscale webhooks list` names them"
    for action in ("secret", "rotate", "test", "enable", "disable"):
        assert tool.refused(action, "ep_x") == told
    assert tool.refused("log", "--endpoint", "ep_x") == told
    assert tool.refused("recover", "ep_x", "--since", "1h") == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("resend", "d-x"), "DELIVERY: no delivery has the id 'd-x'; `upscale webhooks log` names them"),
        (("recover", "ep_x", "--since", "noon"), "--since: must be an age such as 30m, 2h or 7d, or an RFC 3339 time"),
        (("log", "--since", "noon"), "--since: must be an age such as 30m"),
        (("log", "--limit", "0"), "--limit: must be a whole number of at least 1, got '0'"),
        (("list", "--limit", "many"), "--limit: must be a whole number of at least 1, got 'many'"),
        (("add", "https://10.0.0.1/?a", "--tenant", "acme"), "URL: its host does not lead to a public address; got"),
        (("secret", "--tenant", "a b"), "--tenant: must be 1 to 64 of letters"),
    ],
)
def test_mistake_is_told_by_its_argument(tool: Tool, words: tuple[str, ...], told: str) -> None:
    """In one line, and nothing is changed."""
    assert tool.refused(*words).startswith(told)
    assert tool.documents("list") == []


def test_database_without_tables_is_told_with_what_makes_them(commands: Commands, tmp_path: Path) -> None:
    """A file that is not there stays away: an empty one would be taken for the right one."""
    path = tmp_path / "new.db"
    tool = Tool(commands, in_file(path))
    assert "there is no such file; run `upscale state migrate`" in tool.refused("list")
    assert not path.exists()
    path.touch()
    assert "it has no tables yet; run `upscale state migrate`" in tool.refused("list")


def test_usage_error_is_another_exit_code(commands: Commands) -> None:
    ended = commands.run("webhooks", "secret", environment={})
    assert (ended.code, ended.out) == (2, "")
    assert "one of the arguments ENDPOINT --tenant is required" in ended.err


def test_private_address_may_be_added_where_the_settings_open_it(tool: Tool) -> None:
    """The policy is the dispatcher's."""
    opened = {
        "UPSCALE_STATE__URL": tool.settings.url.get_secret_value(),
        "UPSCALE_WEBHOOK__ALLOW_HTTP": "true",
        "UPSCALE_WEBHOOK__ALLOW_PRIVATE_ADDRESSES": "true",
    }
    words = ("webhooks", "add", "http://127.0.0.1:8080/hook", "--tenant", "acme")
    assert tool.commands.run(*words, environment=opened).code == 0


async def test_list_and_log_are_the_same_on_postgresql(commands: Commands, postgresql: PostgreSQL) -> None:
    async with postgresql.fresh() as settings:
        tool = Tool(commands, settings)
        endpoint = tool.added()
        delivery = await tool.attempted(endpoint, Abandoned(Reason.GONE), Outcome.GONE)
        (listed,) = tool.documents("list", "--disabled")
        assert (listed["endpoint"], listed["state"], listed["disabled_reason"]) == (endpoint, "disabled", "gone")
        (told,) = tool.documents("log", "--endpoint", endpoint, "--job", "job", "--since", "1h")
        assert (told["delivery"], told["state"], told["reason"]) == (delivery, "abandoned", "gone")
        assert [each["outcome"] for each in told["attempts"]] == ["gone"]
        assert tool.lines("log")[0].endswith("given up: gone")


def moment(text: str) -> float:
    """Unix seconds."""
    return datetime.fromisoformat(text).timestamp()

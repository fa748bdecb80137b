"""`opa audit`, and the commands that write what it shows."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
import redis
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from tests.project import Project


def opa(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result


def shown(*arguments: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(opa("audit", "--json", *arguments).stdout)
    return entries


@pytest.fixture
def in_redis(project: Project, redis_url: str) -> str:
    name = uuid4().hex
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.settings(PROJECT_ID=name, AUDIT_LOG="redis")
    return name


def test_changes_of_keys_are_in_the_audit_log_without_the_keys(in_redis: str) -> None:
    key = opa("keys", "create", "bot", "--scope", "shop:read", "--expires", "90d").stdout.strip()
    renewed = opa("keys", "rotate", "bot").stdout.strip()
    opa("keys", "create", "spare", "--expires", "never", "--settings")
    opa("keys", "revoke", "bot")

    found = shown()
    assert [(entry["what"], entry["name"], entry.get("kept_in")) for entry in found] == [
        ("keys.create", "bot", "redis"),
        ("keys.rotate", "bot", "redis"),
        ("keys.create", "spare", "settings"),
        ("keys.revoke", "bot", None),
    ]
    assert (found[0]["id"], found[0]["scopes"]) == (key[4:16], ["shop:read"])
    assert all("@" in entry["who"] and entry["from"] for entry in found)
    table = opa("audit").stdout
    assert "keys.revoke" in table
    for token in (key, renewed):
        assert token[16:] not in json.dumps(found) + table


def test_since_shows_the_last_ones(in_redis: str, redis_url: str) -> None:
    assert opa("audit").stdout == "no entries\n"
    with redis.Redis.from_url(redis_url) as client:
        old = json.dumps({"who": "anna", "what": "old", "when": "2020-01-01T00:00:00Z", "from": "a"})
        client.xadd(f"opa:{in_redis}:audit", {"entry": old}, id="1577836800000-0")
        client.xadd(f"opa:{in_redis}:audit", {"entry": "no JSON"})
    assert [entry["what"] for entry in shown()] == ["old", "an entry that cannot be read"]
    assert [entry["what"] for entry in shown("--since", "1h")] == ["an entry that cannot be read"]


@pytest.mark.parametrize(
    "foreign",
    [
        {"entry": "[" * 100_000},
        {"entry": "9" * 10_000},
        {"entry": '{"who": NaN}'},
        {"entry": '{"more": [1e999]}'},
        {"entry": b"\xff"},
        {"entry": "[]"},
        {"other": "{}"},
    ],
    ids=["deep", "long", "not a number", "infinite", "binary", "list", "field"],
)
def test_an_entry_of_others_hides_no_other(in_redis: str, redis_url: str, foreign: dict[Any, Any]) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(f"opa:{in_redis}:audit", foreign)
        client.xadd(f"opa:{in_redis}:audit", {"entry": json.dumps({"what": "ours", "who": "\x1b[2J\nanna"})})
    assert [entry["what"] for entry in shown()] == ["an entry that cannot be read", "ours"]
    assert r"\x1b[2J\nanna" in opa("audit").stdout


def test_more_than_are_asked_for_at_once_are_shown_once_each(in_redis: str, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, client.pipeline() as pipe:
        for number in range(2500):
            pipe.xadd(f"opa:{in_redis}:audit", {"entry": json.dumps({"what": str(number)})})
        pipe.execute()
    assert [entry["what"] for entry in shown()] == [str(number) for number in range(2500)]


def test_without_redis_it_says_where_the_entries_are(project: Project) -> None:
    with pytest.raises(OpaError, match="the audit log is in the log of each process, since AUDIT_LOG is lines"):
        opa("audit")


def test_a_command_that_cannot_reach_redis_has_done_its_work_and_says_so(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.component("AIOREDIS", "redis-aioredis", URL="redis://127.0.0.1:1")
    project.settings(AUDIT_LOG="redis", COMPONENT_CONNECT_TIMEOUT=0.2)

    result = opa("keys", "create", "bot", "--expires", "1d", "--settings")
    assert "ACCESS_KEYS" in result.stdout
    assert "it is done, but not written into the audit log in redis: " in result.stderr


def test_the_line_is_written_in_any_case(project: Project) -> None:
    result = opa("keys", "create", "bot", "--expires", "1d", "--settings")
    assert "keys.create" in result.stderr
    assert "in redis" not in result.stderr

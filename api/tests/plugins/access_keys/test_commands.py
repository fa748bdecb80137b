"""`opa keys`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from opa.plugins.access_keys.tokens import id_in
from tests.project import Project
from tests.servers import Server


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})


def created(*arguments: str) -> Result:
    result = keys("create", *arguments)
    assert result.exit_code == 0, result.output
    return result


def listed() -> dict[str, dict[str, Any]]:
    result = keys("list", "--json")
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


def put_into_settings(project: Project, result: Result) -> None:
    """What a user does with what `--settings` has printed."""
    (project.folder / "settings" / "90-keys.yaml").write_text(result.stdout)


@pytest.fixture
def with_redis(project: Project, redis_url: str) -> Project:
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.settings(PROJECT_ID=uuid4().hex)
    return project


def test_create_prints_the_key_once_and_what_is_said_beside_it(with_redis: Project) -> None:
    result = created("bot", "--scope", "shop:read", "--scope", "a,b", "--expires", "90d")

    token = result.stdout.strip()
    assert id_in(token)
    assert f"API key 'bot' (id {id_in(token)}) may shop:read, a, b, and ends 20" in result.stderr
    assert "Authorization: Bearer" in result.stderr
    assert token[16:] not in keys("list").output + keys("list", "--json").output


@pytest.mark.parametrize("name", ["007", "null", "2026-11-29"])
def test_any_name_is_one_in_the_settings_file(project: Project, name: str) -> None:
    put_into_settings(project, created(name, "--expires", "never", "--settings"))
    assert list(project.config().ACCESS_KEYS) == [name]


def test_list_shows_each_key_and_where_it_is(with_redis: Project) -> None:
    put_into_settings(with_redis, created("spare", "--expires", "never", "--settings"))
    created("bot", "--scope", "shop:read", "--expires", "90d")

    found = listed()
    assert list(found) == ["spare", "bot"]
    assert (found["bot"]["scopes"], found["bot"]["where"]) == (["shop:read"], "redis")
    assert (found["spare"]["expires"], found["spare"]["expired"], found["spare"]["last_use"]) == (None, False, None)
    assert "90-keys.yaml" in found["spare"]["where"]
    table = keys("list").stdout
    assert [line.split()[0] for line in table.splitlines() if line.strip()][2:] == ["spare", "bot"]


def test_without_keys_there_are_none(with_redis: Project) -> None:
    assert keys("list").stdout == "no keys\n"
    assert listed() == {}


def test_a_key_that_has_ended_is_listed_as_such(project: Project) -> None:
    result = created("bot", "--expires", "1s", "--settings")
    setting = re.sub('EXPIRES: ".*"', 'EXPIRES: "2026-01-01T00:00:00Z"', result.stdout)
    (project.folder / "settings" / "90-keys.yaml").write_text(setting)

    assert listed()["bot"]["expired"] is True
    assert "2026-01-01T00:00:00Z (has ended)" in keys("list").stdout


def test_a_name_is_given_once(with_redis: Project) -> None:
    put_into_settings(with_redis, created("spare", "--expires", "never", "--settings"))
    created("bot", "--expires", "1d")

    for name in ("bot", "spare"):
        with pytest.raises(OpaError, match=f"there is an API key '{name}' already"):
            keys("create", name, "--expires", "1d")


def test_rotate_gives_a_new_secret_that_lasts_as_long(with_redis: Project) -> None:
    former = created("bot", "--expires", "90d").stdout.strip()
    result = keys("rotate", "bot", "--overlap", "2h")

    token = result.stdout.strip()
    assert (id_in(token), token == former) == (id_in(former), False)
    assert "As it was it goes on until 20" in result.stderr
    assert listed()["bot"]["former_until"] is not None
    assert listed()["bot"]["expires"] is not None


def test_rotate_can_change_when_the_key_ends_and_end_the_former_at_once(with_redis: Project) -> None:
    created("bot", "--expires", "90d")
    result = keys("rotate", "bot", "--overlap", "0", "--expires", "never")

    assert "does not end" in result.stderr
    assert "As it was" not in result.stderr
    assert (listed()["bot"]["expires"], listed()["bot"]["former_until"]) == (None, None)


def test_a_key_in_the_settings_is_rotated_by_pasting_again(project: Project) -> None:
    put_into_settings(project, created("spare", "--scope", "shop:*", "--expires", "90d", "--settings"))
    before = project.config().ACCESS_KEYS["spare"]
    result = keys("rotate", "spare")
    put_into_settings(project, result)

    after = project.config().ACCESS_KEYS["spare"]
    assert after["ID"] == before["ID"] == id_in(result.stderr.split()[-1])
    assert after["FORMER_HASH"] == before["HASH"]
    assert after["SCOPES"] == ["shop:*"]


def test_revoke_takes_a_key_out(with_redis: Project) -> None:
    created("bot", "--expires", "1d")

    assert keys("revoke", "bot").stdout == "API key 'bot' is revoked, in every process within 1 s\n"
    assert listed() == {}


@pytest.mark.parametrize("command", ["rotate", "revoke"])
def test_an_unknown_key_is_a_mistake(with_redis: Project, command: str) -> None:
    with pytest.raises(OpaError, match="there is no API key 'bot'"):
        keys(command, "bot")


def test_a_key_in_the_settings_is_revoked_there(project: Project) -> None:
    put_into_settings(project, created("spare", "--expires", "never", "--settings"))

    with pytest.raises(OpaError, match="the API key 'spare' is in the settings .*90-keys.yaml.*Take ACCESS_KEYS.spare"):
        keys("revoke", "spare")


def test_a_key_that_is_in_redis_too_is_revoked_there_as_well(with_redis: Project) -> None:
    created("bot", "--expires", "1d")
    put_into_settings(with_redis, created("bot", "--expires", "1d", "--settings"))

    with pytest.raises(OpaError, match="the API key 'bot' is in the settings"):
        keys("revoke", "bot")
    (with_redis.folder / "settings" / "90-keys.yaml").unlink()
    assert listed() == {}


def test_without_redis_keys_can_be_in_the_settings_alone(project: Project) -> None:
    with pytest.raises(OpaError, match=r"'aioredis' is not loaded: LOAD is no\. .*`opa up`.* --settings"):
        keys("create", "bot", "--expires", "1d")
    assert "keys of the settings alone: component 'aioredis'" in keys("list").stderr


def test_a_redis_that_does_not_answer_is_told(project: Project, start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    server.kill()
    project.component("AIOREDIS", "redis-aioredis", URL=server.url)
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.2)

    with pytest.raises(OpaError, match="component 'aioredis' .* did not connect"):
        keys("list")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bot"], "--expires"),
        (["bot", "--expires", "soon"], "not a duration"),
        (["bot", "--expires", "0d"], "would have ended"),
        (["two words", "--expires", "1d"], "should be a name"),
        (["a.b", "--expires", "1d"], "should be a name"),
        (["bot", "--expires", "1d", "--scope", "two words"], "should be a scope"),
        (["bot", "--expires", "1d", "--scope", ""], "should be a scope"),
    ],
)
def test_opa_keys_create_refuses_bad_arguments(project: Project, arguments: list[str], told: str) -> None:
    result = keys("create", *arguments)

    assert result.exit_code == 2
    assert told in " ".join(result.output.replace("│", " ").split())


def test_the_key_goes_to_no_file_that_the_setting_goes_to(project: Project, tmp_path: Path) -> None:
    result = created("spare", "--expires", "never", "--settings")

    token = result.stderr.split()[-1]
    assert id_in(token)
    assert token[16:] not in result.stdout

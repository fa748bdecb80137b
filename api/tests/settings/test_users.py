"""USERS, and where people sign in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from opa.cli.commands import app
from opa.errors import SettingsError
from tests.project import Project

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI"


def mistakes(project: Project, **settings: Any) -> list[str]:
    project.settings(**settings)
    with pytest.raises(SettingsError) as caught:
        project.config()
    return list(caught.value.mistakes)


def test_users_have_a_hash_and_perhaps_scopes(project: Project) -> None:
    project.settings(USERS={"ada": {"password": HASH, "scopes": "docs:read, a"}, "ben": {"PASSWORD": HASH}})
    assert project.config().USERS == {
        "ada": {"PASSWORD": HASH, "SCOPES": ["docs:read", "a"]},
        "ben": {"PASSWORD": HASH, "SCOPES": []},
    }


def test_layers_are_merged_and_a_variable_may_have_the_hash(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.settings(USERS={"ada": {"PASSWORD": HASH}})
    monkeypatch.setenv("OPA_USERS__ben__PASSWORD", HASH)
    assert {name.lower(): user["PASSWORD"] for name, user in project.config().USERS.items()} == {
        "ada": HASH,
        "ben": HASH,
    }


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("two words", {}, "should be a name"),
        ("ada", {"PASSWORD": "correct horse battery"}, "should be the hash that opa passwd prints"),
        ("ada", {"PASSWORD": "$2b$12$" + "a" * 53}, "should be the hash that opa passwd prints"),
        ("ada", {"PASSWORD": HASH.replace("argon2id", "argon2i")}, "should be the hash that opa passwd prints"),
        ("ada", {"PASSWORD": HASH + "\n"}, "should be the hash that opa passwd prints"),
        ("ada", {"PASSWORD": HASH.replace("65536", "1024")}, "should be made with m=7168"),
        ("ada", {"PASSWORD": HASH.replace("65536", "99999999")}, "should be made with m=7168"),
        ("ada", {"PASSWORD": HASH.replace("t=3", "t=1000")}, "should be made with m=7168"),
        ("ada", {"PASSWORD": None}, "USERS.ada.PASSWORD"),
        ("ada", {"SCOPES": ['a"b']}, "should be a scope"),
        ("ada", {"SCOPE": "a"}, "USERS.ada.SCOPE"),
    ],
)
def test_mistakes_are_told_without_the_password(project: Project, name: str, change: dict[str, Any], told: str) -> None:
    found = mistakes(project, USERS={name: {"PASSWORD": HASH, **change}})
    assert len(found) == 1
    assert told in found[0]
    assert "horse" not in found[0]
    assert HASH not in found[0]


@pytest.mark.parametrize(
    "path", ["sign-in", "/", "", "//evil", "/a//b", "/a/", "/a/..", "/./a", "/a b", "/a?b", "/{a}", None]
)
@pytest.mark.parametrize("setting", ["SIGN_IN_URL", "SIGN_OUT_URL"])
def test_a_page_has_a_plain_path(project: Project, setting: str, path: str | None) -> None:
    assert [line.partition(":")[0] for line in mistakes(project, **{setting: path})] == [setting]


def test_signing_out_has_another_path_than_the_page(project: Project) -> None:
    assert "should be another path than SIGN_IN_URL" in mistakes(project, SIGN_IN_URL="/sign-out")[0]


@pytest.mark.parametrize("seconds", [0, -1, 59, True, "soon", None])
@pytest.mark.parametrize("setting", ["SESSION_IDLE_TIMEOUT", "SESSION_LIFETIME"])
def test_a_session_lasts_a_minute_or_longer(project: Project, setting: str, seconds: Any) -> None:
    assert len(mistakes(project, **{setting: seconds})) == 1


def test_the_hash_is_shown_nowhere(project: Project) -> None:
    project.settings(USERS={"ada": {"PASSWORD": HASH, "SCOPES": ["a"]}})
    shown = CliRunner().invoke(app, ["config", "--json"], catch_exceptions=False).stdout
    assert "USERS" in shown
    assert HASH not in shown
    assert json.loads(shown)

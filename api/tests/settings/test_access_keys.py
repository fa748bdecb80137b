"""ACCESS_KEYS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from opa.errors import SettingsError
from tests.project import Project

KEY: dict[str, Any] = {
    "ID": "O2y4Tsq9pkmN",
    "HASH": f"sha256:{'0f' * 32}",
    "SCOPES": ["shop:read"],
    "CREATED": "2026-11-29T17:00:00Z",
    "EXPIRES": "never",
}


def mistakes(project: Project, keys: Any) -> list[str]:
    project.settings(ACCESS_KEYS=keys)
    with pytest.raises(SettingsError) as caught:
        project.config()
    return list(caught.value.mistakes)


def test_times_may_be_without_quotes_and_names_of_fields_in_lower_case(project: Project) -> None:
    (project.folder / "settings" / "90.yaml").write_text(
        f"default:\n  ACCESS_KEYS:\n    bot:\n      id: O2y4Tsq9pkmN\n      hash: {KEY['HASH']}\n"
        "      scopes: shop:read, shop:write\n      created: 2026-11-29T17:00:00\n"
        "      expires: 2027-11-29 17:00:00+01:00\n"
    )
    found = project.config().ACCESS_KEYS["bot"]

    assert found["SCOPES"] == ["shop:read", "shop:write"]
    assert datetime.fromisoformat(found["CREATED"]) == datetime(2026, 11, 29, 17, tzinfo=UTC)
    assert datetime.fromisoformat(found["EXPIRES"]) == datetime(2027, 11, 29, 16, tzinfo=UTC)


def test_layers_are_merged(project: Project) -> None:
    project.settings(ACCESS_KEYS={"bot": KEY})
    (project.folder / "settings" / "90.yaml").write_text(
        f"default:\n  ACCESS_KEYS:\n    cron: {{ID: '{'0' * 12}', HASH: '{KEY['HASH']}', SCOPES: [], "
        "CREATED: 2026-11-29, EXPIRES: NEVER}\n"
    )
    assert {name: key["EXPIRES"] for name, key in project.config().ACCESS_KEYS.items()} == {
        "bot": "never",
        "cron": "never",
    }


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("two words", {}, "should be a name"),
        ("bot", {"ID": "short"}, "ACCESS_KEYS.bot.ID"),
        ("bot", {"HASH": "a" * 64}, "ACCESS_KEYS.bot.HASH"),
        ("bot", {"SCOPES": ['a"b']}, "should be a scope"),
        ("bot", {"EXPIRES": "tomorrow"}, "should be a time"),
        ("bot", {"EXPIRES": None}, "should be a time"),
        ("bot", {"CREATED": "never"}, "should be a time"),
        ("bot", {"FORMER_UNTIL": "x"}, "should be a time"),
        ("bot", {"EXPIRE": "never"}, "ACCESS_KEYS.bot.EXPIRE"),
    ],
)
def test_a_mistake_is_told_without_what_is_secret(
    project: Project, name: str, change: dict[str, Any], told: str
) -> None:
    found = mistakes(project, {name: KEY | change})

    assert len(found) == 1
    assert told in found[0]
    assert KEY["HASH"] not in found[0]


def test_a_missing_field_of_a_key_is_told(project: Project) -> None:
    found = mistakes(project, {"bot": {key: value for key, value in KEY.items() if key != "EXPIRES"}})

    assert "ACCESS_KEYS.bot.EXPIRES: is missing" in found[0]


def test_two_keys_of_one_id_are_a_mistake(project: Project) -> None:
    assert "should have each ID once" in mistakes(project, {"bot": KEY, "cron": KEY})[0]

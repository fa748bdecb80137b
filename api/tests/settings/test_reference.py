"""The schema, default-settings.yaml and docs/configuration.md name the same settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from opa.settings.files import read_sections
from opa.settings.names import ALIASES, KNOWN
from opa.settings.sources import DEFAULTS_FILE

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
SECTIONS = read_sections(DEFAULTS_FILE)
LINES = DEFAULTS_FILE.read_text().splitlines()
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| .+ \|$", PAGE.read_text(), re.MULTILINE))


def test_the_defaults_are_those_of_the_schema() -> None:
    defaults = set(SECTIONS["default"])

    assert sorted(KNOWN - defaults) == [], "settings/schema.py has settings that default-settings.yaml lacks"
    assert sorted(defaults - KNOWN) == [], "default-settings.yaml has settings that settings/schema.py lacks"


def test_the_page_has_a_row_for_each_setting_and_no_other() -> None:
    rows = set(ROWS) - {"ENV", "OPA_SETTINGS_DIR"}

    assert sorted(KNOWN - rows) == [], "docs/configuration.md lacks a row `| `NAME` | `default` | what it is for |`"
    assert sorted(rows - KNOWN) == [], "docs/configuration.md has rows of settings that settings/schema.py lacks"


@pytest.mark.parametrize("name", sorted(KNOWN & set(ROWS) & set(SECTIONS["default"]) - {"OPTIONAL_COMPONENTS"}))
def test_the_page_has_the_default_of_each_setting(name: str) -> None:
    assert ROWS[name] == f"`{json.dumps(SECTIONS['default'][name])}`"


@pytest.mark.parametrize("name", sorted(SECTIONS["default"]))
def test_each_default_has_a_comment_above_it(name: str) -> None:
    number = next(i for i, line in enumerate(LINES) if line.startswith(f"  {name}:"))

    assert LINES[number - 1].strip().startswith("# "), f"{name} in default-settings.yaml has no comment above it"


def test_the_env_dev_sets_known_settings_alone() -> None:
    assert set(SECTIONS) == {"default", "dev"}
    assert set(SECTIONS["dev"]) <= KNOWN


@pytest.mark.parametrize("name", sorted(set(SECTIONS["dev"]) - {"PLUGIN_PATHS"}))
def test_the_page_says_what_the_env_dev_changes(name: str) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{name}` "))
    value: Any = SECTIONS["dev"][name]

    assert "`ENV=dev`" in row
    assert "on with `ENV=dev`" in row if value is True else f"{value}" in row


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_the_page_and_the_file_name_each_alias(alias: str) -> None:
    assert f"`{alias}`" in PAGE.read_text()
    assert alias in DEFAULTS_FILE.read_text()

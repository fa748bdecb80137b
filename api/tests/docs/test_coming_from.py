"""The page for people who come from elsewhere has something for each thing that they know."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from opa.loading.plugin_commands import OWN_COMMANDS
from tests.docs.unrun import ROOT

PAGE = ROOT / "docs" / "coming-from.md"
ROW = re.compile(r"^\| (?P<there>.+?) \| (?P<here>.*) \|$", re.MULTILINE)
OF_PLUGINS = {"keys", "migrate", "mcp", "sessions"}
"""Commands of built-in plugins."""
UNLESS = ("not needed: ", "not there: ", "none: ")
"""How a cell begins that has no counterpart; the reason follows."""


def rows(section: str) -> Iterator[tuple[str, str]]:
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for row in ROW.finditer(text):
        if row["there"] not in ("there", "---"):
            yield row["there"], row["here"]


@pytest.mark.parametrize("section", ["From OpenViper", "From SPOC", "From Django", "From Datasette"])
def test_each_row_has_a_counterpart_or_says_why_there_is_none(section: str) -> None:
    found = dict(rows(section))
    assert len(found) > 10
    without = [there for there, here in found.items() if not (re.search(r"\]\(|`", here) or here.startswith(UNLESS))]
    assert [there for there in without if not found[there].startswith("the same")] == []
    assert not [there for there, here in found.items() if "no counterpart" in here]


def test_each_command_that_it_names_is_there() -> None:
    named = set(re.findall(r"`opa ([a-z]+)", PAGE.read_text()))
    assert named
    assert named <= {*OWN_COMMANDS, *OF_PLUGINS}

from __future__ import annotations

import re
from pathlib import Path

from opa.checks.deploy import table
from opa.checks.deploy.check import Level
from opa.checks.deploy.results import MISTAKE, UNKNOWN
from opa.checks.deploy.table import CHECKS

PAGE = Path(__file__).parents[4] / "docs" / "deployment.md"
CHECK = re.compile(r"^def ([a-z]\w*)\(deployment: (?:Deployment|Declared)\) -> Iterator\[Finding\]:", re.MULTILINE)


def test_the_page_has_a_row_for_each_check_with_its_level() -> None:
    rows = re.findall(r"^\| `(deploy\.[a-z-]+)` \| (\w+) \| .+ \|$", PAGE.read_text(), re.MULTILINE)

    assert rows == [*((check.id, check.level) for check in CHECKS), (UNKNOWN, Level.WARNING), (MISTAKE, Level.ERROR)]


def test_each_check_has_an_id_of_its_own() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_each_check_stands_in_the_table() -> None:
    folder = Path(table.__file__).parent
    found = [name for file in folder.glob("*.py") for name in CHECK.findall(file.read_text())]
    found.remove("unsafe_formats_in_settings")  # a part of `unsafe_formats`

    assert sorted(found) == sorted(check.find.__name__ for check in CHECKS)

from __future__ import annotations

from typing import Any

import pytest

from opa.errors import SettingsError
from opa.logging.levels import LEVELS, level_number
from opa.logging.logger import log


@pytest.mark.parametrize(
    ("level", "number"), [("info", 20), ("TRACE", 5), ("Warn", 30), (15, 15), ("15", 15), (" error ", 40)]
)
def test_a_level_is_a_name_in_any_case_or_a_number(level: str | int, number: int) -> None:
    assert level_number(level) == number


@pytest.mark.parametrize("level", ["loud", "", -1, True, None])
def test_an_unknown_level_is_an_error(level: Any) -> None:
    with pytest.raises(SettingsError, match="LOGLEVEL"):
        level_number(level)


def test_levels_are_those_of_loguru() -> None:
    for name, number in LEVELS.items():
        if name not in {"warn", "fatal"}:
            assert log.level(name.upper()).no == number

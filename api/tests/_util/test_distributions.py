"""Conditions of requirements, which anyone may have written."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from opa._util.distributions import ConditionError, applies_here


def test_a_condition_is_answered_for_this_python() -> None:
    assert applies_here(Requirement("ladle"))
    assert applies_here(Requirement("ladle; python_version > '3'"))
    assert not applies_here(Requirement("ladle; python_version < '3'"))
    assert not applies_here(Requirement("ladle; extra == 'soup'"))
    assert applies_here(Requirement("ladle; extra == 'soup'"), "soup")


@pytest.mark.parametrize("condition", ["os_name ~= 'posix'", "'soup' in extras", "'soup' in dependency_groups"])
def test_a_condition_without_an_answer_is_an_error_of_its_own(condition: str) -> None:
    with pytest.raises(ConditionError, match="whose condition has no answer"):
        applies_here(Requirement(f"ladle; {condition}"))

"""pytest's private names that are used are there, with the shapes that are relied on."""

from __future__ import annotations

from typing import Any

import pytest

from opa._compat.pytest import leave_unwritten


def test_a_package_is_not_rewritten_any_more(pytestconfig: pytest.Config) -> None:
    hook: Any = type(pytestconfig.pluginmanager.rewrite_hook)(pytestconfig)  # type: ignore[call-arg]
    hook.mark_rewrite("opa_unwritten", "opa_other")
    leave_unwritten(hook, "opa_unwritten")
    leave_unwritten(hook, "opa_unwritten")
    assert hook._must_rewrite == {"opa_other"}


def test_without_rewriting_there_is_nothing_to_leave() -> None:
    leave_unwritten(object(), "opa")

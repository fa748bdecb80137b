"""How the command shows an error."""

from __future__ import annotations

import json

import pytest

from opa import OpaError
from opa.errors import PluginError
from opa.process.error_report import trace_of


def fail() -> None:
    raise ValueError("mine")


def caused(error: OpaError, *, in_own_code: bool) -> OpaError:
    with pytest.raises(ValueError) as raised:
        fail() if in_own_code else json.loads("[")
    cause = raised.value
    if not in_own_code and cause.__traceback__ is not None:  # the frame of this test
        cause.__traceback__ = cause.__traceback__.tb_next
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("in_own_code", "count"), [(True, 1), (False, 0)])
def test_the_trace_of_a_cause_is_shown_where_the_users_own_code_is_in_it(in_own_code: bool, count: int) -> None:
    trace = trace_of(caused(OpaError("it is not read"), in_own_code=in_own_code))
    assert trace.count("Traceback") == count
    assert trace.count("ValueError: mine") == count


def test_the_trace_of_a_plugins_mistake_is_shown_in_any_case() -> None:
    assert "JSONDecodeError" in trace_of(caused(PluginError("it is broken", plugin="shop"), in_own_code=False))

"""A route says what it needs more of."""

from __future__ import annotations

import functools
import math
from typing import Any

import pytest

from opa import OpaError, limits
from opa.http.limits import AS_SET, NOTHING_SAID, Limits, chosen, limits_of


def test_a_function_a_method_and_a_class_may_have_limits() -> None:
    @limits(body_bytes=5)
    def function() -> None: ...

    class Routes:
        @limits(body_time=2.5)
        def method(self) -> None: ...

        def later(self) -> None: ...

    limits(time=None)(Routes().later)
    limits(time=7)(Routes)
    assert limits_of(function) == limits_of(functools.partial(function)) == Limits(body_bytes=5)
    assert limits_of(Routes().method) == Limits(body_time=2.5)
    assert limits_of(Routes().later) == Limits(time=None)
    assert limits_of(Routes) == Limits(time=7)


@pytest.mark.parametrize("endpoint", [None, len, object()])
def test_an_endpoint_without_limits_has_none(endpoint: object) -> None:
    assert limits_of(endpoint) is NOTHING_SAID


@pytest.mark.parametrize("value", [0, -1, True, "5", math.nan])
@pytest.mark.parametrize("name", ["body_bytes", "body_time", "time"])
def test_limits_refuses_a_value_that_is_no_limit(name: str, value: Any) -> None:
    with pytest.raises(OpaError, match=f"limits\\({name}="):
        limits(**{name: value})


def test_a_limit_that_is_not_given_is_that_of_the_settings_and_none_is_no_limit() -> None:
    assert chosen(AS_SET, 3) == 3
    assert chosen(AS_SET, None) == math.inf
    assert chosen(None, 3) == math.inf
    assert chosen(5, 3) == 5

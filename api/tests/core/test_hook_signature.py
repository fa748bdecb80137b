from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opa.core.hook_signature import misfit, signature_of_run
from opa.errors import RegistrationError
from tests.project import Project

DEFINITION = """
from opa import HookDefinition

class Named(HookDefinition):
    def run(self, first: str, last: str = ""): ...
"""


def a_hook(parameters: str) -> str:
    return f"from opa import Hook\n\nclass Filling(Hook):\n    name = 'Named'\n    def run({parameters}): ...\n"


@pytest.mark.parametrize(
    "parameters",
    ["self, first, last=''", "self, first, last='', more=1", "self, *args, **kwargs", "self, first, **more"],
)
def test_a_hook_that_takes_what_callers_give_is_taken(project: Project, parameters: str) -> None:
    project.plugin("base.py", DEFINITION)
    if parameters == "self, first, **more":  # nothing for `last` by position
        parameters = "self, first, *rest, **more"
    project.plugin("filling.py", a_hook(parameters))
    assert "Named" in project.prepare().hooks


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("self", "it takes no 'first' as argument 1"),
        ("self, first", "it takes no 'last' as argument 2"),
        ("self, given, last=''", "it takes no argument named 'first'"),
        ("self, last, first=''", "its 'first' is not argument 1"),
        ("self, first, last", "its 'last' has no default, and callers may leave it out"),
        ("self, first, last='', *, more", "it needs 'more', which callers do not give"),
        ("self, first, **more", "it takes no 'last' as argument 2"),
    ],
)
def test_a_hook_that_does_not_is_refused_at_the_start_with_both_places(
    project: Project, parameters: str, problem: str
) -> None:
    definition = project.plugin("base.py", DEFINITION)
    filling = project.plugin("filling.py", a_hook(parameters))
    with pytest.raises(RegistrationError) as caught:
        project.prepare()
    assert problem in str(caught.value)
    assert f"{definition}:4" in str(caught.value)
    assert f"{filling}:3" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("async def run(self): ...", "has 'async def run', and is_async is false"),
        ("is_async = True\n    def run(self): ...", "is async, and has 'def run'"),
        ("run = 5", "has an int as its run"),
    ],
)
def test_a_definition_whose_run_says_something_else_is_refused(project: Project, body: str, problem: str) -> None:
    project.plugin("base.py", f"from opa import HookDefinition\n\nclass Named(HookDefinition):\n    {body}\n")
    with pytest.raises(RegistrationError, match=problem):
        project.prepare()


def test_a_static_method_has_no_self() -> None:
    class Filling:
        @staticmethod
        def run(first: str) -> None: ...

    assert str(signature_of_run(Filling)) == "(first: 'str') -> 'None'"


def calls(defined: inspect.Signature) -> Iterator[Callable[[inspect.Signature], Any]]:
    """Calls with up to four arguments by position, and some by the names that there are, or by any other."""
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    known = [*(each.name for each in defined.parameters.values() if each.kind in by_name), "another"]
    for count, number in product(range(5), range(len(known) + 1)):
        for names in combinations(known, number):
            yield partial(bind, count, names)


def bind(count: int, names: tuple[str, ...], signature: inspect.Signature) -> inspect.BoundArguments:
    return signature.bind(*range(count), **dict.fromkeys(names))


def fits(signature: inspect.Signature, call: Callable[[inspect.Signature], Any]) -> bool:
    try:
        call(signature)
    except TypeError:
        return False
    return True


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    kinds = draw(st.lists(st.sampled_from(list(inspect._ParameterKind)), max_size=3).map(sorted))
    single = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = iter(draw(st.permutations("abc")))
    parameters: list[inspect.Parameter] = []
    has_default = False
    for kind in kinds:
        if kind in single and any(each.kind is kind for each in parameters):
            continue
        name = ("args", "kwargs")[single.index(kind)] if kind in single else next(names)
        if kind is inspect.Parameter.POSITIONAL_ONLY:
            name = name.upper()  # that others may have the name, and go to **kwargs, inspect knows from 3.12 on
        may_have = kind not in single
        must_have = has_default and kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = must_have or (may_have and draw(st.booleans()))
        has_default = has_default or (default and kind <= inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters.append(inspect.Parameter(name, kind, default=0 if default else inspect.Parameter.empty))
    return inspect.Signature(parameters)


@settings(max_examples=500)
@given(signatures(), signatures())
def test_a_misfit_is_reported_exactly_if_some_call_of_the_definition_does_not_fit(
    defined: inspect.Signature, filled: inspect.Signature
) -> None:
    works = all(fits(filled, call) for call in calls(defined) if fits(defined, call))
    problem = misfit(defined, filled)
    # A value that arrives, and under another name, is none that fits.
    assert problem if not works else problem is None or "is not argument" in problem

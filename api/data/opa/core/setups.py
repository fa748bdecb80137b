"""Setup classes: run once in each serving process, after the components are connected."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from opa._util.sources import where_is
from opa.core.arguments import arguments_for, has_no_parameters
from opa.core.hooks import BasePlugin
from opa.core.raised import in_words
from opa.core.start_waits import note_step
from opa.errors import OpaError, SetupError
from opa.loading.repeats import hint_for, note_done


class Setup(BasePlugin):
    """Runs once when the process starts. Subclass it, and name in `__init__` what you need.

    Parameters that can be named: `app` (the FastAPI application), `pm` or `plugin_manager`, `config`, and any
    name whose annotation is `Annotated[…, Component("…")]`. A second step may stand in `run`, with parameters of
    the same names; `run` may be `async def`, and so may `__init__`.
    """


async def run_setup(setup: type[Setup], plugin: str, injectables: Mapping[str, Any]) -> Setup:
    """Instantiate `setup`, a class of `plugin`, with what its parameters name in `injectables`.

    Raises:
        SetupError: it asks for something unknown, or raised; the cause is chained.
    """
    name = f"setup {setup.__name__} of plugin '{plugin}'"
    where = getattr(sys.modules.get(setup.__module__), "__file__", "")
    what = f"{name} {where}"
    note_step(f"{name} ({where})")
    try:
        instance = setup.__new__(setup)
        # Called by hand and not through the class, since the class would refuse what an `async def __init__` gives.
        async with arguments_for(setup.__init__, injectables, name) as arguments:
            await _maybe(setup.__init__(instance, **arguments))
        if callable(run := getattr(instance, "run", None)):
            async with arguments_for(run, injectables, name) as arguments:
                await _maybe(run(**arguments))
    except SetupError as error:
        error.plugin, error.where = plugin, error.where or where_is(setup)
        raise
    except (Exception, SystemExit) as error:
        raise _failure(error, setup, plugin, name, what) from error
    note_done(what)
    return instance


def _failure(error: BaseException, setup: type[Setup], plugin: str, name: str, what: str) -> SetupError:
    if isinstance(error, OpaError) and error.hint and error.each == (error,):
        # It says where the mistake is, and what to do, which is seldom to change the setup.
        problem = f"{name} failed: {error.problem}"
        return SetupError(problem, plugin=plugin, where=error.where or where_is(setup), hint=error.hint)
    problem, hint = f"{name} failed: {in_words(error)}", hint_for(what, "Fix the setup")
    return SetupError(problem, plugin=plugin, where=where_is(setup), hint=hint)


def asks_for(name: str, setup: type[Setup]) -> bool:
    """Whether `setup` has a parameter of that name."""
    return any(
        name in inspect.signature(function).parameters
        for function in (setup.__init__, getattr(setup, "run", None))
        if callable(function) and not has_no_parameters(function)
    )


async def _maybe(result: Any) -> None:
    if inspect.isawaitable(result):
        await result

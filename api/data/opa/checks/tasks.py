"""Tasks that cannot run as they are sent: by the schedule, or since their parameters are those of something else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastapi import params

from opa._util.suggestions import nearest
from opa.checks.components import NOT_THERE, hint_for
from opa.checks.finding import Finding
from opa.core.arguments import components_of_parameters
from opa.core.per_use_misfits import misfit
from opa.errors import RegistrationError
from opa.tasks.application import application_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.application import TaskApplication


_PATTERN = frozenset("*?[")


def tasks_that_cannot_be_made(manager: PluginManager) -> Iterator[RegistrationError]:
    """An error for each task that Celery cannot make: a worker makes all of them, the api those that it sends."""
    celery = application_of(manager)
    celery.note_shared_tasks()
    celery.finalize()
    for name, failure in celery.unmade.items():
        failure.plugin = manager.plugin_of_module(celery.functions()[name].__module__)
        yield failure


def runs_that_fail(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each entry of the schedule whose task is not here, or is not called with its arguments."""
    celery = application_of(manager)
    for name, entry in celery.scheduled().items():
        task = entry["task"]
        where = celery.where(name) if name in celery.schedules else manager.config.source("CELERY_BEAT_SCHEDULE")
        if not _is_known(celery, task):
            near = nearest(task, celery.functions())
            yield Finding(
                f"the schedule '{name}' sends the task '{task}', which no plugin here has",
                where=where,
                hint=f"Did you mean '{near}'?"
                if near
                else "Its name is that of its module and function: reports.nightly",
            )
        elif problem := _misfit(celery, task, entry):
            yield Finding(
                f"the schedule '{name}' sends the task '{task}' with arguments that do not fit: {problem}",
                plugin=_plugin_of(manager, task),
                where=celery.where(task) or where,
                hint="Give the parameter a default, or the entry of CELERY_BEAT_SCHEDULE args or kwargs",
            )


def _is_known(celery: TaskApplication, task: str) -> bool:
    return task in celery.functions() or task in celery.tasks  # the latter makes all of them


def _misfit(celery: TaskApplication, task: str, entry: Any) -> str:
    signature = celery.signature_of(task)
    if signature is None:
        return ""
    try:
        signature.bind(*(entry.get("args") or ()), **(entry.get("kwargs") or {}))
    except TypeError as error:
        return str(error)
    return ""


def settings_of_no_task(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each name in CELERY_TASK_ROUTES and CELERY_TASK_ANNOTATIONS that is nearly that of a task."""
    celery = application_of(manager)
    for setting in ("CELERY_TASK_ROUTES", "CELERY_TASK_ANNOTATIONS"):
        named = manager.config.get(setting)
        for task in named if isinstance(named, dict) else ():
            if (
                _PATTERN.isdisjoint(task)
                and not _is_known(celery, task)
                and (near := nearest(task, celery.functions()))
            ):
                yield Finding(
                    f"{setting} names the task '{task}', which no plugin here has",
                    where=manager.config.source(setting),
                    hint=f"Did you mean '{near}'?",
                )


def parameters_of_others(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each task with parameters that get no value: `self` without `bind`, and what only routes get."""
    celery = application_of(manager)
    for task, function in celery.functions().items():
        if not celery.where(task) or isinstance(function, type):
            continue
        yield from (
            Finding(
                f"task '{task}' of plugin '{_plugin_of(manager, task)}' {problem}",
                plugin=_plugin_of(manager, task),
                where=celery.where(task),
                hint=hint,
            )
            for problem, hint in _problems(celery, task, function)
        )


def _problems(celery: TaskApplication, task: str, function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return
    names = code.co_varnames[: code.co_argcount]
    takes_any = bool(code.co_flags & inspect.CO_VARARGS)
    if celery.is_bound(task) and not names and not takes_any:
        yield "has bind=True and no parameter for itself", "Write self as its first parameter, or leave out bind=True"
    signature = celery.signature_of(task)
    if signature is None:
        return
    first = next(iter(signature.parameters.values()), None)
    if first is not None and first.name == "self" and first.default is first.empty and not celery.is_bound(task):
        yield "has the parameter 'self', which is passed only with bind=True", "Write @task(bind=True)"
    for name, parameter in signature.parameters.items():
        if isinstance(parameter.default, params.Depends):
            yield (
                f"has the parameter '{name}' with a Depends, which only routes have",
                "Call the function inside of the task",
            )


def components_of_tasks(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each task that asks for an unknown component, or for one that it cannot use."""
    celery = application_of(manager)
    for task, function in celery.functions().items():
        if not celery.where(task) or isinstance(function, type):
            continue
        what, plugin = f"task '{task}' of plugin '{_plugin_of(manager, task)}'", _plugin_of(manager, task)
        for component in components_of_parameters(function).values():
            state = manager.component_states.get(component.name.lower())
            if state is None:
                problem = f"{what} asks for the component '{component.name}', {NOT_THERE}"
                yield Finding(problem, plugin=plugin, where=celery.where(task), hint=hint_for(component.name, manager))
            elif state.driver is not None:
                error = misfit(component.name, state.driver.per_use, function, what)
                if error is not None:
                    yield Finding(error.problem, plugin=plugin, where=celery.where(task), hint=error.hint or "")


def _plugin_of(manager: PluginManager, task: str) -> str | None:
    function = application_of(manager).functions().get(task)
    return None if function is None else manager.plugin_of_module(function.__module__)

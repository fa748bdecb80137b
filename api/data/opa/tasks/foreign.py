"""Tasks whose class is Celery's own, as its guide has them: with `base=`, and classes that are registered."""

from __future__ import annotations

from typing import Any

from celery import Task as CeleryTask
from celery.app.registry import TaskRegistry as CeleryRegistry

from opa._util.sources import where_is
from opa._util.words import kind_of
from opa.errors import RegistrationError
from opa.tasks.task import Task, is_synchronous, synchronous


def based_on_ours(base: Any, *, of: str, where: str) -> Any:
    """A base class of tasks that has what our tasks have, behind what it has by itself.

    Args:
        base: what was given as one.
        of: what it is to be, for the error.
        where: the place of that.

    Raises:
        RegistrationError: it is no class of `celery.Task`, or its order of base classes does not go with ours.
    """
    if not isinstance(base, type) or not issubclass(base, CeleryTask):
        raise _unfit(of, where, f"{kind_of(base)} is not a class of celery.Task")
    if issubclass(Task, base):
        return Task
    if issubclass(base, Task):
        return base
    own: Any = base
    try:
        return type(own.__name__, (own, Task), {"__module__": own.__module__, "__doc__": own.__doc__, "abstract": True})
    except TypeError as error:
        raise _unfit(of, where, str(error)) from None


def _unfit(of: str, where: str, why: str) -> RegistrationError:
    hint = "Write a class of celery.Task, with other base classes behind that"
    return RegistrationError(f"{of} cannot be used: {why}", where=where, hint=hint)


_SAME = ("__doc__", "__firstlineno__", "__module__", "__qualname__")
"""What a class has of the one in whose place it is; Python 3.13 finds the source of a class by its first line."""


def adopt(task: Any) -> Any:
    """Make a task of a class of its own, or that class, a task of ours; itself where it is one.

    Raises:
        RegistrationError: its class cannot be one of ours.
    """
    instance = task() if isinstance(task, type) else task
    cls = type(instance)
    run = getattr(cls, "run", None)
    if run is None or (isinstance(instance, Task) and is_synchronous(run)):
        return instance
    base = based_on_ours(cls, of=f"the class '{cls.__name__}' of a task", where=where_is(cls))
    same = {name: getattr(cls, name) for name in _SAME if hasattr(cls, name)}
    instance.__class__ = type(cls.__name__, (base,), {**same, "run": _run_of(cls)})
    return instance


def _run_of(cls: type[Any]) -> Any:
    found = next(vars(each)["run"] for each in cls.__mro__ if "run" in vars(each))
    if isinstance(found, staticmethod | classmethod):
        return type(found)(synchronous(found.__func__))
    return synchronous(found)


class UnmadeTask:
    """Stands in the plugin for a task that cannot be made: who uses it is told why.

    Args:
        failure: why.
    """

    def __init__(self, failure: RegistrationError) -> None:
        self._failure = failure

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raise why the task cannot be made."""
        raise self._failure

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._failure


class TaskRegistry(CeleryRegistry):
    """Celery's registry; a task of another class that is registered by `app.tasks.register` is made one of ours."""

    def register(self, task: Any) -> Any:
        """Add a task, or a class of one."""
        return super().register(adopt(task))

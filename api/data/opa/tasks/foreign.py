"""Tasks whose class is Celery's own, as its guide has them: with `base=`, and classes that are registered."""

from __future__ import annotations

from typing import Any

from celery.app.registry import TaskRegistry as CeleryRegistry

from opa.tasks.task import Task, is_synchronous, synchronous


def based_on_ours(base: type[Any]) -> type[Any]:
    """A base class of tasks that has what our tasks have, behind what it has by itself."""
    if issubclass(base, Task):
        return base
    return type(base.__name__, (base, Task), {"__module__": base.__module__, "__doc__": base.__doc__, "abstract": True})


def adopt(task: Any) -> Any:
    """Make a task of a class of its own, or that class, a task of ours; itself where it is one."""
    instance = task() if isinstance(task, type) else task
    cls = type(instance)
    run = getattr(cls, "run", None)
    if run is None or (isinstance(instance, Task) and is_synchronous(run)):
        return instance
    instance.__class__ = type(
        cls.__name__,
        (based_on_ours(cls),),
        {"__module__": cls.__module__, "__doc__": cls.__doc__, "__qualname__": cls.__qualname__, "run": _run_of(cls)},
    )
    return instance


def _run_of(cls: type[Any]) -> Any:
    found = next(vars(each)["run"] for each in cls.__mro__ if "run" in vars(each))
    if isinstance(found, staticmethod | classmethod):
        return type(found)(synchronous(found.__func__))
    return synchronous(found)


class TaskRegistry(CeleryRegistry):
    """Celery's registry; a task of another class that is registered by `app.tasks.register` is made one of ours."""

    def register(self, task: Any) -> Any:
        """Add a task, or a class of one."""
        return super().register(adopt(task))

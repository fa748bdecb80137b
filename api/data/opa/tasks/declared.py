"""What plugins have declared of their tasks: there is more of it than Celery has made tasks of."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from opa._util.sources import where_is, where_is_function
from opa.errors import RegistrationError
from opa.tasks.components import signature_of_message
from opa.tasks.options import unknown_options
from opa.tasks.parameters import Parameters

if TYPE_CHECKING:
    from opa.tasks.limits.task_limits import TaskLimits

LOOKED_UP_OPTIONS = ("rate_limit", "serializer", "compression", "autoretry_for")
"""Options whose values the driver looks up."""
LIMITS = ("unique", "unique_for", "concurrency", "rate")
"""Options by which a task has limits; what they may be, `tasks/limits/` says, and that is imported where one is."""


class DeclaredTasks:
    """The tasks of the plugins by name, and what their decorators say of them.

    Attributes:
        schedules: the entries of the schedule, one for each task that has one.
        disabled_schedules: those that the settings have switched off.
        unknown_options: options that nobody knows, with the function whose decorator has them.
        looked_up_options: values of `LOOKED_UP_OPTIONS`.
        unmade: why a task could not be made.
        limited: the limits of tasks that have some; None until they are asked for.
    """

    def __init__(self) -> None:
        self.schedules: dict[str, dict[str, Any]] = {}
        self.disabled_schedules: dict[str, dict[str, Any]] = {}
        self.unknown_options: dict[str, tuple[Callable[..., Any], list[str]]] = {}
        self.looked_up_options: dict[str, Mapping[str, Any]] = {}
        self.unmade: dict[str, RegistrationError] = {}
        self.limited: dict[str, TaskLimits | None] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        self._bound: set[str] = set()
        self._discarded: set[str] = set()

    def claim(self, name: str, origin: Callable[..., Any]) -> None:
        """Note that a task of this name is made from `origin`.

        Raises:
            RegistrationError: there is one already.
        """
        if name in self._functions:
            raise RegistrationError(
                f"task '{name}' is defined twice, also at {self.where(name)}",
                where=place_of(origin),
                hint="Rename one of them, or give it another name=…",
            )
        self._functions[name] = origin

    def note_options(
        self, name: str, origin: Callable[..., Any], options: Mapping[str, Any], base: type | None
    ) -> None:
        """Keep what is looked up when all plugins are there: one of them may have what another names."""
        if unknown := unknown_options(options):
            self.unknown_options[name] = (origin, unknown)
        values = {key: options.get(key, getattr(base, key, None)) for key in LOOKED_UP_OPTIONS}
        if any(values.values()):
            self.looked_up_options[name] = values
        limits = {option: options.get(option, getattr(base, option, None)) for option in LIMITS}
        if any(value is not None for value in limits.values()):
            self._note_limits(name, origin, limits)

    def _note_limits(self, name: str, origin: Callable[..., Any], limits: Mapping[str, Any]) -> None:
        from opa.tasks.limits.task_limits import limits_of

        try:
            limits_of(name, self.signature_of(name), limits)
        except ValueError as error:
            raise RegistrationError(
                f"task '{name}': {error}", where=place_of(origin), hint="Fix its decorator"
            ) from error
        self.limited[name] = None

    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions that the tasks of all plugins were made from, by the name of the task."""
        return MappingProxyType(self._functions)

    def is_bound(self, name: str) -> bool:
        """Whether the function of a task is given the task as its first argument."""
        return name in self._bound

    def signature_of(self, name: str) -> inspect.Signature | None:
        """What a task is called with; None where that cannot be told."""
        function = self._functions[name]
        is_class = isinstance(function, type)
        try:
            signature = signature_of_message(function.run if is_class else function)  # type: ignore[attr-defined]
        except (AttributeError, TypeError, ValueError):
            return None
        parameters = list(signature.parameters.values())
        has_itself = is_class or name in self._bound
        return signature.replace(parameters=parameters[1:]) if has_itself else signature

    def annotations_of(self, name: str) -> Mapping[str, Any]:
        """The annotations of a task by its parameters, without those that only the type checker can read."""
        function = self._functions[name]
        run: Any = getattr(function, "run", None) if isinstance(function, type) else function
        return Parameters(name, run).annotations

    def take_schedule(self, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """The schedule that runs: that of the decorators, with entries of the settings; those not `enabled` are kept.

        Args:
            entries: as `parse_entries` gives them.
        """
        found: dict[str, dict[str, Any]] = {**self.schedules, **{name: dict(entry) for name, entry in entries.items()}}
        disabled = {name for name, entry in found.items() if not entry.pop("enabled", True)}
        self.disabled_schedules = {name: found.pop(name) for name in disabled}
        return found

    def where(self, name: str) -> str:
        """File and line of the function that a plugin's task was made from; empty for a task of Celery's own."""
        function = self._functions.get(name)
        if function is None or function.__module__.startswith("celery."):
            return ""
        return place_of(function)

    def tasks_of(self, module: str) -> list[str]:
        """The names of the tasks of the plugin whose module is `module`."""
        return [
            name for name, function in self._functions.items() if f"{function.__module__}.".startswith(f"{module}.")
        ]

    def forget_tasks_of(self, module: str) -> list[str]:
        """Take out the tasks of the plugin whose module is `module`, and give their names.

        Celery makes those that nobody has used yet later on, and shared ones are not even known before:
        `is_discarded` is for them.
        """
        self._discarded.add(f"{module}.")
        names = self.tasks_of(module)
        for name in names:
            del self._functions[name]
            self._bound.discard(name)
            self.schedules.pop(name, None)
            self.disabled_schedules.pop(name, None)
            self.unknown_options.pop(name, None)
            self.looked_up_options.pop(name, None)
            self.unmade.pop(name, None)
            self.limited.pop(name, None)
        return names

    def is_discarded(self, origin: Callable[..., Any]) -> bool:
        """Whether what a task is made from belongs to a plugin whose tasks were taken out."""
        return f"{origin.__module__}.".startswith(tuple(self._discarded))


def place_of(origin: Callable[..., Any]) -> str:
    """File and line of what a task was made from, a function or a class."""
    return where_is(origin) if isinstance(origin, type) else where_is_function(origin)

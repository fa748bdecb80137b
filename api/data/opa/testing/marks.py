"""What the mark `opa` asks for: `@pytest.mark.opa(plugins=["shop"], settings={"PROJECT_NAME": "Shop"})`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opa._util.suggestions import nearest
from opa._util.words import kind_of
from opa.errors import OpaError

__tracebackhide__ = True  # for pytest, which shows the line of the test

NAME = "opa"
ARGUMENTS = ("components", "plugins", "raises", "settings", "tasks")
WAYS_OF_TASKS = ("record", "eager")


@dataclass(frozen=True)
class Wishes:
    """What a test asks for.

    Attributes:
        plugins: the names of those to load; None for all.
        settings: those that differ.
        components: the names, in lower case, of those to connect although no plugin names them.
        are_tasks_eager: whether a task runs when it is sent.
        raises: whether what a route raises is raised in the test.
    """

    plugins: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    components: frozenset[str] = frozenset()
    are_tasks_eager: bool = False
    raises: bool = True


def wishes_of(marks: Iterable[Any]) -> Wishes:
    """What the marks of a test ask for.

    Args:
        marks: pytest's, the nearest one first.

    Raises:
        OpaError: one of them has something unknown.
    """
    nearest_first = [_checked(mark) for mark in marks]
    settings: dict[str, Any] = {}
    for given in reversed(nearest_first):
        settings = merged(settings, given.get("settings") or {})
    chosen: dict[str, Any] = {}
    for given in reversed(nearest_first):
        chosen.update(given)
    plugins = chosen.get("plugins")
    return Wishes(
        plugins=None if plugins is None else tuple(plugins),
        settings=settings,
        components=frozenset(name.lower() for given in nearest_first for name in given.get("components") or ()),
        are_tasks_eager=chosen.get("tasks") == "eager",
        raises=chosen.get("raises", True),
    )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both together, dict by dict; of all else, what is `above`. The case of names does not matter at the top."""
    result = dict(below)
    for name, value in above.items():
        key = name.upper() if name.isidentifier() and name.upper() in result else name
        before = result.get(key)
        result[key] = merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return result


def _checked(mark: Any) -> Mapping[str, Any]:
    given: dict[str, Any] = mark.kwargs
    if mark.args:
        raise _error(f"has {mark.args[0]!r} without a name", f"Its arguments are {', '.join(ARGUMENTS)}")
    for name, value in given.items():
        if name not in ARGUMENTS:
            near = nearest(name, ARGUMENTS)
            known = f"Its arguments are {', '.join(ARGUMENTS)}"
            raise _error(f"has no argument '{name}'", f"Did you mean '{near}'? {known}" if near else known)
        if name in ("plugins", "components") and not _are_names(value):
            raise _error(f"has {kind_of(value)} as {name}", f'Give a list of names: {name}=["shop"]')
    if not isinstance(given.get("settings", {}), Mapping):
        raise _error(f"has {kind_of(given['settings'])} as settings", "Give a dict: settings={'PROJECT_NAME': 'Shop'}")
    if given.get("tasks", "record") not in WAYS_OF_TASKS:
        raise _error(f"has {given['tasks']!r} as tasks", "It is 'record', or 'eager'")
    return given


def _are_names(value: Any) -> bool:
    return (
        isinstance(value, Collection) and not isinstance(value, str | bytes) and all(isinstance(x, str) for x in value)
    )


def _error(problem: str, hint: str) -> OpaError:
    return OpaError(f"the mark 'opa' {problem}", hint=hint)

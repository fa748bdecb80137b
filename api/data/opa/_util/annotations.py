"""Read annotations in which names stand that the type checker alone knows, as below `if TYPE_CHECKING`."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ForwardRef, get_args, get_type_hints

from fastapi import params


class _AnyUse(type):
    """A type of which everything can be asked that an annotation asks of a name."""

    def __getitem__(cls, _: object) -> type:
        return cls

    def __or__(cls, other: Any) -> Any:
        return cls

    __ror__ = __or__

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls


class Unknown(metaclass=_AnyUse):
    """Stands for a type that is not there when the program runs."""


class _Names(Mapping[str, Any]):
    """What stands for names that do not exist; Python looks for all others by itself."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> Any:
        if name in self._known or hasattr(builtins, name):
            raise KeyError(name)
        return Unknown

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of `function`, with `Unknown` for names that do not exist.

    Raises:
        Exception: an annotation cannot be read for another reason.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        known = getattr(inspect.unwrap(function), "__globals__", {})
        return {name: _read(each, known) if isinstance(each, str) else each for name, each in _annotations(function)}


def keep_dependencies(function: Callable[..., Any]) -> None:
    """Let FastAPI see `Annotated[…, Depends(…)]` also where the type in it is not there; it does not need it."""
    for name, text in _annotations(function):
        if not isinstance(text, str) or "Annotated" not in text:
            continue
        known = getattr(inspect.unwrap(function), "__globals__", {})
        try:
            names = compile(text, "<annotation>", "eval").co_names
            if all(each in known or hasattr(builtins, each) for each in names):
                continue
            hint = _read(text, known)
        except Exception:  # noqa: BLE001, S112 - annotations are code; FastAPI says what is wrong with it
            continue
        if any(isinstance(extra, params.Depends) for extra in get_args(hint)[1:]):
            inspect.unwrap(function).__annotations__[name] = hint


def unresolved(annotation: Any) -> str | None:
    """The text of an annotation with an undefined name, or of its first part that has one."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return next((text for each in get_args(annotation) if (text := unresolved(each))), None)


def _annotations(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    return list((getattr(inspect.unwrap(function), "__annotations__", None) or {}).items())


def _read(text: str, known: Mapping[str, Any]) -> Any:
    return eval(text, dict(known), _Names(known))  # noqa: S307 - the plugin's own code, which Python would read as well

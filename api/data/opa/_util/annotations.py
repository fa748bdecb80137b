"""Read annotations in which names stand that the type checker alone knows, as below `if TYPE_CHECKING`."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
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


def keep_dependencies(*functions: Any) -> None:
    """Let FastAPI see `Annotated[…, Depends(…)]` also where the type in it is not there; it does not need it.

    So it does in what the parameters of these functions depend on, and what that depends on.
    """
    left = list(functions)
    seen: set[int] = set()
    while left:
        called = left.pop()
        if callable(called) and id(called) not in seen:
            seen.add(id(called))
            left += _dependencies(_read_by_fastapi(called))


def _dependencies(function: Any) -> Iterator[Any]:
    """What the parameters of a function depend on; an annotation that FastAPI could not read is replaced."""
    known = getattr(function, "__globals__", {})
    annotations, defaults = dict(_annotations(function)), _defaults(function)
    for name in {**annotations, **defaults}:
        hint, default, is_known = annotations.get(name), defaults.get(name), True
        if isinstance(hint, str) and ("Annotated" in hint or isinstance(default, params.Depends)):
            try:
                names = compile(hint, "<annotation>", "eval").co_names
                is_known = all(each in known or hasattr(builtins, each) for each in names)
                hint = _read(hint, known)
            except Exception:  # noqa: BLE001 - annotations are code; FastAPI says what is wrong with it
                hint = None
        if isinstance(default, params.Depends):
            yield default.dependency or hint
        for extra in get_args(hint)[1:]:
            if isinstance(extra, params.Depends):
                yield extra.dependency or get_args(hint)[0]
                if not is_known and extra.dependency is not None:
                    function.__annotations__[name] = hint


def _defaults(function: Any) -> dict[str, Any]:
    code, defaults = getattr(function, "__code__", None), getattr(function, "__defaults__", None) or ()
    names = code.co_varnames[: code.co_argcount] if code is not None else ()
    return dict(zip(reversed(names), reversed(defaults), strict=False)) | (
        getattr(function, "__kwdefaults__", None) or {}
    )


def _read_by_fastapi(called: Callable[..., Any]) -> Any:
    """The function that has the parameters of a call: that of a class is its `__init__`."""
    while isinstance(called, partial):
        called = called.func
    called = inspect.unwrap(called)
    if isinstance(called, type):
        return called.__init__  # type: ignore[misc]  # of this class, and of no other
    return called if inspect.isroutine(called) else type(called).__call__


def has_unknown(hint: Any) -> bool:
    """Whether `Unknown` is in an annotation that `hints_of` has read."""
    return hint is Unknown or any(map(has_unknown, get_args(hint)))


def unresolved(annotation: Any) -> str | None:
    """The text of an annotation with an undefined name, or of its first part that has one."""
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    return next((text for each in get_args(annotation) if (text := unresolved(each))), None)


def _annotations(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    return list((getattr(inspect.unwrap(function), "__annotations__", None) or {}).items())


def _read(text: str, known: Mapping[str, Any]) -> Any:
    return eval(text, dict(known), _Names(known))  # noqa: S307 - the plugin's own code, which Python would read as well

"""Decorators that were written without the parentheses that they need, as `@router.get`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import TYPE_CHECKING, Any

from opa._util.sources import where_is_function
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.checks.code import Code

_MAKERS = ("fastapi", "starlette", "opa")


def decorators_without_parentheses(code: Code) -> Iterator[Finding]:
    """A finding for each function that was given to such a decorator as what should stand in the parentheses.

    In its place the plugin has the decorator itself, which waits for a function, and nothing else has happened.
    """
    for plugin, module in code.modules:
        for name, value in list(vars(module).items()):
            function = _given(value, name, module.__name__) if type(value) is FunctionType else None
            if function is not None:
                yield Finding(
                    f"{name}() of plugin '{plugin}' is below a decorator without parentheses, and does nothing",
                    plugin=plugin,
                    where=where_is_function(function),
                    hint=f"Write what the decorator asks for, such as {_example(value, name)}",
                )


def _given(decorator: FunctionType, name: str, module: str) -> Callable[..., Any] | None:
    """The function that `decorator`, which stands under the name of it, holds."""
    if "<locals>" not in decorator.__qualname__ or decorator.__module__.partition(".")[0] not in _MAKERS:
        return None
    held = [cell.cell_contents for cell in decorator.__closure__ or () if _has_contents(cell)]
    functions = [each for each in held if type(each) is FunctionType]
    return next((each for each in functions if (each.__name__, each.__module__) == (name, module)), None)


def _has_contents(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # it is empty
        return False


def _example(decorator: FunctionType, name: str) -> str:
    return f'@register("{name}s")' if decorator.__module__.startswith("opa") else f'@router.get("/{name}")'

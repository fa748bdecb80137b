"""What the setting ACCESS may hold."""

from __future__ import annotations

from collections.abc import Mapping

from opa._util.scopes import is_scope
from opa.settings.quoting import quotable

OPEN = "open"
SIGNED_IN = "signed-in"
EVERYTHING_ELSE = "*"

_NO_SCOPES = (OPEN, SIGNED_IN, "closed")


def access(values: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    """The values, if each key is a plugin, a path or `*`, and each value says who may.

    Raises:
        ValueError: one of them would not do what it seems to say; the message says what to write.
    """
    for key, value in values.items():
        problem = problem_of_path(key)
        problem = problem or _problem_of_value(value)
        if problem:
            raise ValueError(quotable(f'should not have "{key}" so: {problem}'))
    return dict(values)


def problem_of_path(path: str) -> str | None:
    """Why a key that is a path would never fit one; None where it may, and where it is no path."""
    if not path.startswith("/"):
        return None
    if "{" in path:
        return "a path has no parameters; it stands for itself and all below it"
    if "?" in path or "#" in path or "%" in path or "\\" in path:
        return "it is compared with the path alone, decoded"
    if path != "/" and any(segment in ("", ".", "..") for segment in path.removesuffix("/").split("/")[1:]):
        return "its segments are empty or dots"
    return None


def _problem_of_value(value: str | list[str]) -> str | None:
    if value in (OPEN, SIGNED_IN):
        return None
    scopes = [value] if isinstance(value, str) else value
    if not scopes:
        return f"the list is empty; write {SIGNED_IN} or {OPEN}"
    for scope in scopes:
        if scope in _NO_SCOPES:
            return f"{scope} is not a scope; write {OPEN}, {SIGNED_IN}, a scope, or a list of scopes"
        if not is_scope(scope):
            return f'"{scope}" is not a scope, which is printable ASCII without spaces, quotes and backslashes'
    return None

"""Find the object that a URI names: `package.module`, `package.module.attribute.nested`, `package.module:attribute`."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import Any

from opa._util.suggestions import nearest


class UriError(Exception):
    """The URI leads to nothing; the message says where it ends. The cause is chained where a module raised."""


def resolve(uri: str) -> Any:
    """The function, class, instance, nested attribute or module that `uri` names.

    A colon separates module and attribute; with dots alone, the module is as long as there are modules of the name.

    Raises:
        UriError: no such module, no such attribute, or an error inside the module.
    """
    if not isinstance(uri, str) or not uri.strip(" .:"):
        raise UriError(f"{uri!r} is not a URI such as package.module.attribute")
    module_name, colon, attributes = uri.partition(":")
    if colon:
        module, rest = _import(module_name), attributes.split(".")
    else:
        module, rest = _longest_module(uri)
    value: Any = module
    path = module.__name__
    for name in rest:
        try:
            value = getattr(value, name)
        except AttributeError:
            raise UriError(f"{_kind(value)} '{path}' has no attribute '{name}'{_suggestion(value, name)}") from None
        path = f"{path}.{name}"
    return value


def _longest_module(uri: str) -> tuple[ModuleType, list[str]]:
    parts = uri.split(".")
    module = _import(parts[0])
    for end in range(1, len(parts)):
        name = ".".join(parts[: end + 1])
        # An attribute wins over a submodule of the same name, as with `from package import name`.
        if hasattr(module, parts[end]) and not isinstance(getattr(module, parts[end]), ModuleType):
            return module, parts[end:]
        if not hasattr(module, "__path__") or importlib.util.find_spec(name) is None:
            return module, parts[end:]
        module = _import(name)
    return module, []


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UriError(f"there is no module '{error.name}'") from None
        raise UriError(f"module '{name}' does not import: {type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:
        raise UriError(f"module '{name}' does not import: {type(error).__name__}: {error}") from error


def _kind(value: Any) -> str:
    return "module" if isinstance(value, ModuleType) else "class" if isinstance(value, type) else "object"


def _suggestion(value: Any, name: str) -> str:
    close = nearest(name, dir(value))
    return f", did you mean '{close}'?" if close else ""

"""`register` and `page`, by which a plugin adds to the admin."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from opa._util.scopes import is_scope
from opa._util.sources import where_is, where_is_function
from opa.admin.options import ModelAdmin
from opa.admin.panels import AdminPage, Panel
from opa.core.running import register as register_in_group
from opa.errors import OpaError
from opa.loading.conventions import ADMIN_PAGES_GROUP, ADMIN_PANELS_GROUP

Options = TypeVar("Options", bound=type[ModelAdmin])
Function = TypeVar("Function", bound=Callable[..., Any])


def register(model: type[Any], options: type[ModelAdmin] | None = None, **given: Any) -> Callable[[Options], Options]:
    """Have a model shown by the admin: `admin.register(Book)`, or as a decorator of the class with its options.

    Args:
        model: a mapped class of SQLAlchemy, or a model of Pydantic for the documents of a collection of MongoDB.
        options: a class with options, where it stands elsewhere.
        **given: options, see `ModelAdmin`.

    Raises:
        OpaError: the model is neither, an option is of no use, the name is taken, or there is no such component.
    """
    caller = sys._getframe(1)
    where, module = f"{caller.f_code.co_filename}:{caller.f_lineno}", str(caller.f_globals.get("__name__", ""))
    panel = Panel(model, module=module, where=where)
    if options is not None or given:
        panel.configure(type("ModelAdmin", (options or ModelAdmin,), given) if given else options or ModelAdmin, where)
    uri = f"{module}.{getattr(model, '__qualname__', model)} ({where})"
    register_in_group(ADMIN_PANELS_GROUP.name, uri=uri)(panel)

    def decorate(cls: Options) -> Options:
        chosen = type(cls.__name__, (cls,), given) if given and isinstance(cls, type) else cls
        panel.configure(chosen, where_is(cls) if isinstance(cls, type) else where)
        return cls

    return decorate


def page(title: str, *, name: str = "", scope: str = "", icon: str = "") -> Callable[[Function], Function]:
    """Add a page to the admin: the function, `def` or `async def`, is given the request and gives HTML.

    What is not the plugin's own must be escaped in it; `markupsafe.escape` does that. It may also give a response of
    Starlette, which is answered as it is.

    Args:
        title: in the navigation and at the top of the page.
        name: in the path of the page and in its scope; by default made of the title.
        scope: what a visitor must have; by default `admin:NAME:read`.
        icon: before the title, a class of Font Awesome.

    Raises:
        OpaError: the name is none or is taken, the scope is none, or this is no function.
    """

    def add(function: Function) -> Function:
        where = where_is_function(function)
        if not callable(function) or inspect.isclass(function):
            raise OpaError("@admin.page is for a def or async def", where=where, hint="Put it above a function")
        if scope and not is_scope(scope):
            raise OpaError(
                f"@admin.page(scope={scope!r}) is not a scope", where=where, hint="Write one such as stock:read"
            )
        added = AdminPage(title, function, name=name, scope=scope, icon=icon, where=where)
        register_in_group(ADMIN_PAGES_GROUP.name, uri=f"{added.__module__}.{added.name}")(added)
        return function

    return add

"""Middleware from the group `middleware`, and finding the one that swallows the lifespan."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opa._util.import_strings import UriError
from opa._util.sources import where_is, where_is_function
from opa._util.words import kind_of
from opa.core.groups import Member
from opa.errors import GroupError, PluginError, RegistrationError
from opa.http.plugin_exit import without_exit
from opa.http.processors import RequestProcessor, processor_of
from opa.loading.import_errors import deepest_line_in, summary

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


class BaseMiddleware:
    """A base for ASGI middleware; override `__call__`.

    Attributes:
        app: what is behind it. Await `self.app(scope, receive, send)` for every scope type that is not handled.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        await self.app(scope, receive, send)


def middleware_of(member: Member) -> Middleware:
    """A member of the group as Starlette's middleware.

    Raises:
        GroupError: it is neither a class or factory that takes the application, nor a request processor.
    """
    try:
        process = processor_of(member)
    except (Exception, SystemExit) as error:
        text = str(error) if isinstance(error, UriError) else f"raised {type(error).__name__}: {error}"
        raise _no_middleware(member, text) from error
    if process is not None:
        return Middleware(RequestProcessor, process=process, name=member.uri)
    if not callable(member.value):
        raise _no_middleware(member, f"is {kind_of(member.value)}, not an ASGI middleware class")
    if problem := _cannot_take_application(member):
        given = "the application and its OPTS" if member.opts else "the application"
        raise _no_middleware(member, f"cannot be called with {given}: {problem}")
    return Middleware(member.value, **member.opts)


def _cannot_take_application(member: Member) -> str | None:
    """What is wrong with the parameters of an ASGI middleware class, as Python says it."""
    try:
        inspect.signature(member.value).bind(None, **member.opts)
    except TypeError as error:
        return str(error)
    except ValueError:  # a builtin, which has no signature
        return None
    return None


def _no_middleware(member: Member, problem: str) -> GroupError:
    return GroupError(
        f"'{member.uri}' in the group middleware {problem}",
        where=f"registered in {member.module}" if member.module else "setting PLUGINS",
        hint="Name a class whose __init__ takes the application, or what has process(request); other things belong"
        " in a group of another name",
    )


class MiddlewareMaker:
    """Makes middleware when the application starts, and says whose it is where that fails.

    Args:
        item: with its class or factory and its options.
        manager: knows the plugins.
        plugin: that has added it; None where only its module can tell.
    """

    def __init__(self, item: Middleware, manager: PluginManager, plugin: str | None) -> None:
        self._item = item
        self._manager = manager
        self._plugin = plugin

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """The middleware around `app`.

        Raises:
            RegistrationError: it cannot be made.
        """
        item = self._item
        try:
            made = item.cls(without_exit(app, item.cls), *item.args, **item.kwargs)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            raise self._failure(f"cannot be made: {summary(error, 'in its __init__')}", error) from error
        if not callable(made):
            raise self._failure(f"gives {kind_of(made)}, which is not an ASGI application", None)
        return made

    def _failure(self, problem: str, error: BaseException | None) -> RegistrationError:
        cls: Any = self._item.cls
        plugin = self._plugin or self._manager.plugin_of_module(getattr(cls, "__module__", None) or "")
        files = [found.plugin.file.file for found in self._manager.registry.objects if found.plugin.name == plugin]
        places = [*self._manager.folders, *(file.parent for file in files)]
        where = deepest_line_in(places, error) if error is not None else None
        if where is None:
            own = where_is(cls) if isinstance(cls, type) else where_is_function(cls)
            where = str(files[0]) if files and not own.startswith(str(files[0].parent)) else own
        name = self._item.kwargs.get("name") if cls is RequestProcessor else _name_of(cls)
        return RegistrationError(
            f"middleware '{name}'" + (f" of plugin '{plugin}'" if plugin else "") + f" {problem}",
            plugin=plugin,
            where=where,
            hint="Fix its __init__, or its options; what takes long or may fail belongs in ready()",
        )


async def swallower(middleware: Sequence[Middleware]) -> str:
    """The name of the middleware that does not pass the lifespan on to what is behind it."""
    for item in middleware:
        reached = False

        async def probe(_scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal reached
            reached = True
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

        messages: list[Message] = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

        async def receive(messages: list[Message] = messages) -> Message:
            return messages.pop() if messages else {"type": "lifespan.shutdown"}

        async def send(_message: Message) -> None:
            pass

        await item.cls(probe, *item.args, **item.kwargs)(
            {"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send
        )
        if not reached:
            return f"'{_name_of(item.cls)}' ({_file(item.cls)})"
    return "(unknown)"


def _name_of(cls: Any) -> str:
    return f"{getattr(cls, '__module__', type(cls).__module__)}.{getattr(cls, '__qualname__', type(cls).__qualname__)}"


def _file(cls: object) -> str:
    try:
        return inspect.getsourcefile(cls) or "no source"  # type: ignore[arg-type]
    except TypeError:
        return "no source"

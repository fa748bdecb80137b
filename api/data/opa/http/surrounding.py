"""Where `Outermost` stands: in the place of Starlette's middleware for errors, also where something is built around it.

Agents that watch applications replace `build_middleware_stack`, of the class or of the object, and put middleware of
their own around what it gives. Some take that apart and build it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from opa._compat.starlette import has_patched_errors
from opa.core.running import belonging_to
from opa.http.outermost import Outermost

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.http.outermost import Application

DEEPEST = 1000
"""Middleware around one another; one that leads to itself is looked at no longer."""


class Belonging:
    """Stands around what is not ours: the code behind it runs for the application, too.

    Args:
        app: what was built.
        manager: the plugins of the application.
    """

    def __init__(self, app: ASGIApp, manager: PluginManager) -> None:
        self.app = app
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        with belonging_to(self._manager):
            await self.app(scope, receive, send)


def surrounded(stack: ASGIApp, api: Application) -> ASGIApp:
    """What FastAPI has built, with `Outermost` in the place of its middleware for errors.

    What an agent has put around that stays around it, and so hears of each error. Where that middleware cannot be
    found, `Outermost` stands around all.
    """
    if type(stack) is ServerErrorMiddleware:  # as nearly always
        return Outermost(stack, api)
    for each in _inwards(stack):
        if type(each) is ServerErrorMiddleware:
            return _exchanged(stack, each, api)
    return Outermost(ServerErrorMiddleware(stack), api)


def surrounded_again(stack: ASGIApp, api: Application, made: Outermost | None) -> ASGIApp:
    """The same for what was made of that, as an agent may have taken it apart to put something in between.

    Where an agent has replaced the call of Starlette's middleware for errors, each request passes that too.

    Args:
        stack: what is to answer.
        api: the application.
        made: what `outermost_in` found before.
    """
    found = _surrounded_again(stack, api, made)
    if has_patched_errors() and type(found) is not ServerErrorMiddleware:
        return ServerErrorMiddleware(found)
    return found


def _surrounded_again(stack: ASGIApp, api: Application, made: Outermost | None) -> ASGIApp:
    if type(stack) is Outermost:  # as nearly always
        return stack
    errors: ServerErrorMiddleware | None = None
    for each in _inwards(stack):
        if type(each) is Outermost:
            return stack
        if made is not None and each is made.app and errors is not None:
            return _exchanged(stack, errors, api)
        if type(each) is ServerErrorMiddleware:
            errors = each
    if made is not None:
        # It may be in there, where nothing sees it, and would tell of each request a second time. What calls it cannot
        # be given another object; Python looks `__call__` up in the class, so that no attribute of the object stands
        # for it; and to ask in `__call__` itself would cost each request of each application. So it becomes what it was
        # built as.
        made.__class__ = ServerErrorMiddleware  # type: ignore[assignment]
    return surrounded(stack, api)


def outermost_in(stack: ASGIApp) -> Outermost | None:
    """The `Outermost` in what `surrounded` has given."""
    return next((each for each in _inwards(stack) if type(each) is Outermost), None)


def _exchanged(stack: ASGIApp, errors: ServerErrorMiddleware, api: Application) -> ASGIApp:
    """Make `Outermost` of the object itself: whoever has it in some attribute or closure has the other then."""
    original = ServerErrorMiddleware(errors.app, errors.handler, errors.debug)
    errors.__class__ = Outermost
    Outermost.__init__(errors, original, api)  # type: ignore[arg-type]  # it is one now
    return Belonging(stack, api.manager)


def _inwards(app: Any) -> Iterator[Any]:
    """Middleware, from the outermost in, as far as it says in `app` what is behind it."""
    for _ in range(DEEPEST):
        yield app
        app = getattr(app, "app", None)
        if app is None:
            return

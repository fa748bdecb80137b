"""What a plugin adds to the console: a page, or a card on the start page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from starlette.requests import Request

from opa._util.scopes import is_scope
from opa.errors import OpaError
from opa.loading.conventions import CONSOLE_CARDS_GROUP, CONSOLE_PAGES_GROUP

Body = Callable[[Request], Awaitable[str]]
"""Gives the HTML of a request; what is not the plugin's own must be escaped in it."""

_PATH = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class ConsolePage:
    """A page of the console, for the group `console_pages`.

    Attributes:
        path: below that of the console: lower-case letters, digits and hyphens.
        title: in the navigation and at the top of the page.
        body: gives its HTML; called for each request, and every few seconds while the page is open.
        scope: what a reader must have.

    Raises:
        OpaError: the path or the scope can be none.
    """

    GROUP: ClassVar = CONSOLE_PAGES_GROUP.name

    path: str
    title: str
    body: Body
    scope: str = "console:read"

    def __post_init__(self) -> None:
        """Check path and scope."""
        if not _PATH.fullmatch(self.path):
            raise OpaError(
                f"ConsolePage(path={self.path!r}) is not a path of a page",
                hint="Use lower-case letters, digits and hyphens, such as stock-levels",
            )
        _belongs_to_its_body(self, self.body)
        if not is_scope(self.scope):
            raise OpaError(f"ConsolePage(scope={self.scope!r}) is not a scope", hint="Write one such as stock:read")


@dataclass(frozen=True)
class ConsoleCard:
    """A card on the start page of the console, for the group `console_cards`.

    Attributes:
        title: at the top of the card.
        body: gives its HTML; called as that of a page.
        scope: what a reader must have; others do not see the card.

    Raises:
        OpaError: the scope can be none.
    """

    GROUP: ClassVar = CONSOLE_CARDS_GROUP.name

    title: str
    body: Body
    scope: str = "console:read"

    def __post_init__(self) -> None:
        """Check the scope."""
        _belongs_to_its_body(self, self.body)
        if not is_scope(self.scope):
            raise OpaError(f"ConsoleCard(scope={self.scope!r}) is not a scope", hint="Write one such as stock:read")


def _belongs_to_its_body(added: object, body: Body) -> None:
    """Give it the module and name of its function, by which a group knows whose it is, and tells it from others."""
    object.__setattr__(added, "__module__", getattr(body, "__module__", ""))
    object.__setattr__(added, "__qualname__", getattr(body, "__qualname__", type(body).__qualname__))

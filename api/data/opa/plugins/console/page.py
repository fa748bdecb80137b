"""What a page of the console is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from opa.plugins.console.readers import Reader

Context = Mapping[str, Any]
Body = Callable[[Request], Awaitable[str]]

READ = "console:read"


@dataclass(frozen=True)
class Page:
    """A page of the console.

    Attributes:
        path: below that of the console, with parameters; empty for the start page.
        title: in the navigation, if it is there, and in the title of the browser.
        template: the name of its template.
        context: gives what the template needs; raises an HTTPException if there is no such page.
        scope: what a reader must have.
        is_in_navigation: whether it is there.
        is_live: whether it is sent again when it changes, while it is open.
        is_of_use: says whether the navigation has it in this project.
    """

    path: str
    title: str
    template: str
    context: Callable[[Request, Reader], Awaitable[Context]]
    scope: str = READ
    is_in_navigation: bool = True
    is_live: bool = True
    is_of_use: Callable[[], bool] = lambda: True

"""What plugins add to the console: pages and cards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from starlette.requests import Request

from opa import ConsoleCard, ConsolePage, OpaError, get_plugin_manager, log
from opa.plugins.console.page import Body

Added = TypeVar("Added", ConsolePage, ConsoleCard)

FAILED = '<p role="alert">This part failed; the log has the error.</p>'


def members(kind: type[Added]) -> Iterator[tuple[str, Added]]:
    """The members of the group of pages, or of cards, each with its URI.

    Raises:
        OpaError: one of them is something else.
    """
    for uri, member in get_plugin_manager().groups.get(kind.GROUP).items():
        if not isinstance(member, kind):
            raise OpaError(
                f"'{uri}' in the group {kind.GROUP} is no {kind.__name__}",
                hint=f"Register one: register({kind.GROUP!r})({kind.__name__}(…))",
            )
        yield uri, member


async def html_of(uri: str, body: Body, request: Request) -> str:
    """What a plugin shows. If it fails, the log has the error, and a sentence stands in its place."""
    try:
        html = await body(request)
        if not isinstance(html, str):
            raise TypeError(f"its body gave {type(html).__name__}, not a text")
    except Exception as error:  # noqa: BLE001 - the other parts go on
        log.opt(exception=error).error("{} cannot be shown on the console", uri)
        return FAILED
    return html

"""Posts a message to a URL, bounded in time, whoever answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIME_LIMIT = 20.0
"""Seconds in which a target has to have taken a message."""
_STEP_LIMIT = 10.0
_MOST_READ = 2048


class NotDeliveredError(Exception):
    """A target has not taken a message.

    Attributes:
        is_final: whether another attempt is of no use.
    """

    def __init__(self, problem: str, *, is_final: bool = False) -> None:
        super().__init__(problem)
        self.is_final = is_final


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """A message goes to the URL of the settings, and nowhere else."""


async def post(url: str, content: Mapping[str, Any]) -> None:
    """Post `content` as JSON. Redirects are not followed; proxies of the environment are used.

    Raises:
        NotDeliveredError: the target has not answered with 2xx in time; the message does not have the URL.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[BaseException | None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not outcome.done():
            outcome.set_result(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            _post(url, content)
        except BaseException as found:  # noqa: BLE001 - it is raised by who waits
            error = found
        with contextlib.suppress(RuntimeError):  # the process ends, and nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    # A server that answers a byte now and then keeps within each limit of a socket. A process that ends waits for the
    # threads of a pool, and not for this one.
    threading.Thread(target=work, name="opa-notify-post", daemon=True).start()
    try:
        async with asyncio.timeout(TIME_LIMIT):
            error = await outcome
    except TimeoutError:
        raise NotDeliveredError(f"it has not answered within {TIME_LIMIT:g} s") from None
    if error is not None:
        raise error


def _post(url: str, content: Mapping[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "opa-stack"}
    request = Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - the settings take http and https
    try:
        with build_opener(_NoRedirects).open(request, timeout=_STEP_LIMIT) as answer:
            answer.read(_MOST_READ)
    except HTTPError as error:
        error.close()
        # 429 and 5xx may pass; a redirect, a wrong URL or a token that was revoked does not.
        is_final = error.code not in (408, 425, 429) and error.code < 500
        what = "a redirect, which is not followed" if 300 <= error.code < 400 else "an error"
        raise NotDeliveredError(f"it has answered {error.code}, {what}", is_final=is_final) from None
    except Exception as error:  # noqa: BLE001 - a socket, TLS and HTTP each have errors of their own
        reason = getattr(error, "reason", error)
        raise NotDeliveredError(f"{type(reason).__name__}: {reason}".replace(url, "its URL")) from None

"""Posts something to a URL, bounded in time, whoever answers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from opa.errors import OpaError
from opa.http.webhooks.wire import Wire

TIME_LIMIT = 20.0
"""Seconds in which a target has to have answered."""
STEP_LIMIT = 10.0
"""Seconds for each step of that: to connect, and until the next bytes arrive."""
BODY_LIMIT = 1.0
"""Seconds for the body of an answer that says that it is taken: nobody needs it, but some servers mind."""
MOST_READ = 2048
"""Bytes of an answer; the rest is left."""
LONGEST_WAIT = 86_400.0
"""Seconds, of what a target may ask for."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What became of a request.

    Attributes:
        status: of the answer; None where there was none in time.
        problem: why it has not arrived, in a few words, which have nothing of the URL; empty with a status of 2xx.
        retry_after: seconds that the target asks to wait for, at most a day; None where it does not say.
    """

    status: int | None
    problem: str = ""
    retry_after: float | None = None


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """What is posted goes to its URL, and nowhere else."""


async def post_webhook(url: str, body: bytes, headers: Mapping[str, str]) -> WebhookAnswer:
    """Post `body` within 20 seconds. Redirects are not followed; proxies of the environment are used.

    Args:
        url: with https:// or http://.
        body: as it is sent.
        headers: of the request.

    Returns:
        What became of it, also where nobody has answered.

    Raises:
        OpaError: the URL is none.
    """
    if not url.lower().startswith(("https://", "http://")):
        raise OpaError("a webhook is posted to a URL with https:// or http://", hint="Correct the URL")
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[WebhookAnswer] = loop.create_future()

    def settle(answer: WebhookAnswer) -> None:
        if not outcome.done():
            outcome.set_result(answer)

    wire = Wire()

    def answered(answer: WebhookAnswer) -> None:
        with contextlib.suppress(RuntimeError):  # as below
            loop.call_soon_threadsafe(loop.call_later, BODY_LIMIT, settle, answer)

    def work() -> None:
        answer = _posted(url, body, headers, wire, answered)
        with contextlib.suppress(RuntimeError):  # the process ends, and nobody waits any more
            loop.call_soon_threadsafe(settle, answer)

    # A server that answers a byte now and then keeps within each limit of a socket. A process that ends waits for the
    # threads of a pool, and not for this one.
    threading.Thread(target=work, name="opa-webhook-post", daemon=True).start()
    try:
        async with asyncio.timeout(TIME_LIMIT):
            return await outcome
    except TimeoutError:
        return WebhookAnswer(None, f"it has not answered within {TIME_LIMIT:g} s")
    finally:
        wire.cut()


def _posted(
    url: str, body: bytes, headers: Mapping[str, str], wire: Wire, answered: Callable[[WebhookAnswer], None]
) -> WebhookAnswer:
    try:
        request = Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - http and https alone
        with build_opener(_NoRedirects, *wire.handlers()).open(request, timeout=STEP_LIMIT) as answer:
            taken = WebhookAnswer(answer.status)
            answered(taken)
            with contextlib.suppress(Exception):  # it is taken, whatever becomes of the rest
                answer.read(MOST_READ)
            return taken
    except HTTPError as error:
        error.close()
        what = "a redirect, which is not followed" if 300 <= error.code < 400 else "an error"
        wait = seconds_in(error.headers.get("Retry-After"))
        return WebhookAnswer(error.code, f"it has answered {error.code}, {what}", wait)
    except Exception as error:  # noqa: BLE001 - a socket, TLS and HTTP each have errors of their own
        return WebhookAnswer(None, _told(getattr(error, "reason", error), url))


def _told(reason: object, url: str) -> str:
    name = type(reason).__name__
    # This one is a ValueError, and what is wrong with a certificate has to be told. Behind a comma is the host.
    if (verified := getattr(reason, "verify_message", None)) is not None:
        return f"{name}: {str(verified).partition(',')[0]}"
    # Some of HTTP quote the URL, or what was answered.
    return name if isinstance(reason, HTTPException | ValueError) else f"{name}: {reason}".replace(url, "its URL")


def seconds_in(text: str | None) -> float | None:
    """The seconds that a header Retry-After asks for, as a number or a date; None where it says neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)

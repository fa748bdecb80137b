"""Keep the OpenAPI document of an application: built once, in a thread, and again when its routes change."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from fastapi import FastAPI

from opa._util.garbage import no_collection
from opa.core.threads import in_thread
from opa.http.openapi.build import build, is_fastapis_own
from opa.http.openapi.document import Document, encode
from opa.http.openapi.problems import OpenApiError
from opa.http.openapi.state import Routes
from opa.logging.logger import log

Result = TypeVar("Result")

RETRY_PAUSE = 5.0
"""Seconds after which a document that could not be built is tried again, when someone asks: what was missing may be
there, such as a catalogue that a model reads."""
ROOT_PATHS = 16
"""Documents that are kept; a middleware may take the root path from a header, and so from anyone."""
SWITCH_INTERVAL = 0.0005
"""Seconds after which the thread that builds lets another one run. The event loop would wait for Python's 5 ms, some
times in each of its turns; this makes the delay a fourth, and building takes no longer."""

# One document at a time in this process, whose garbage collector and switch interval are changed meanwhile.
_building = threading.Lock()


class EarlyDocument(Protocol):
    """A document that another process builds since before this one was forked."""

    @property
    def routes(self) -> Routes:
        """What it describes."""

    def wait(self, app: FastAPI) -> Document | None:
        """The document, when it is there; None where it is not that of `app` as this process has it.

        Raises:
            OpenApiError: it could not be built; the log has it already.
        """


class _Kept:
    """A document that is there or being built.

    Attributes:
        future: the document, or why there is none. Not the error, which would keep all that was made before it.
        routes: what it describes; None before the first look.
        failed: when it was clear that there is none, as `time.monotonic` has it.
    """

    future: Future[Document | str]
    routes: Routes | None = None
    failed: float | None = None

    def is_of(self, app: FastAPI) -> bool:
        """Whether it need not be built again."""
        if self.failed is not None and time.monotonic() - self.failed >= RETRY_PAUSE:
            return False
        return self.routes is None or self.routes.are_those_of(app)


class DocumentKeeper:
    """Gives the document of an application.

    Requests do not hold the event loop, and never cause it to be built twice at the same time.

    Attributes:
        early: what was begun before this process was forked; the first who asks takes it over.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self.early: EarlyDocument | None = None
        self._kept: _Kept | None = None
        self._changed: tuple[dict[str, Any], Document] | None = None
        self._below: tuple[Document, dict[str, Future[Document]]] | None = None
        self._logged = ""
        self._choosing = threading.Lock()

    async def document(self, root_path: str = "") -> Document:
        """The document for a client that reaches the application below `root_path`.

        Raises:
            OpenApiError: it cannot be built. The log has it once; it is tried again when routes change, and after
                a pause.
        """
        if is_fastapis_own(self._app):
            found = await asyncio.wrap_future(self._current().future)
            if isinstance(found, str):
                raise OpenApiError(found)
            document = found
        else:
            document = await in_thread(self._of_own_openapi, name="openapi")
        if not root_path or not self._app.root_path_in_servers:
            return document
        return await self._for_root_path(document, root_path)

    def _current(self) -> _Kept:
        with self._choosing:
            kept = self._kept
            if kept is None or not kept.is_of(self._app):
                kept = self._kept = _Kept()
                early, self.early = self.early, None
                kept.future = _begun(functools.partial(self._make, kept, early))
            return kept

    def _make(self, kept: _Kept, early: EarlyDocument | None) -> Document | str:
        if early is not None and early.routes.are_those_of(self._app):
            kept.routes = early.routes
            try:
                if document := early.wait(self._app):
                    return document
            except OpenApiError as error:  # which does not say that it cannot be built here
                self._logged = error.problem
        with _beside_the_event_loop():
            kept.routes = Routes.from_app(self._app)
            try:
                return build_and_log(self._app, self._logged)
            except OpenApiError as error:
                self._logged, kept.failed = error.problem, time.monotonic()
                return error.problem

    def _of_own_openapi(self) -> Document:
        """FastAPI calls `app.openapi()` for each request, and so does this; it is encoded when it is another object."""
        with _beside_the_event_loop():
            schema = self._app.openapi()
            if self._changed is None or self._changed[0] is not schema:
                self._changed = schema, encode(schema)
            return self._changed[1]

    async def _for_root_path(self, document: Document, root_path: str) -> Document:
        if self._below is None or self._below[0] is not document:
            self._below = document, {}
        known = self._below[1]
        if root_path not in known:
            while len(known) >= ROOT_PATHS:
                del known[next(iter(known))]
            known[root_path] = _begun(functools.partial(_below, document, root_path))
        return await asyncio.wrap_future(known[root_path])


def _begun(function: Callable[[], Result]) -> Future[Result]:
    """What `function` returns in a thread of its own; a client that waits for it and leaves does not end it."""
    future: Future[Result] = Future()
    future.set_running_or_notify_cancel()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is handed to the awaiting code
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="openapi", daemon=True).start()
    return future


def _below(document: Document, root_path: str) -> Document:
    with _beside_the_event_loop():
        return document.below(root_path)


@contextmanager
def _beside_the_event_loop() -> Iterator[None]:
    # A collection looks at all that is made here in one go, and would hold the others for 50 ms.
    with _building, no_collection():
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL)
        try:
            yield
        finally:
            sys.setswitchinterval(before)


def build_and_log(app: FastAPI, logged: str = "") -> Document:
    """Build the document, and say in the log how that went.

    Args:
        logged: a problem that the log has already.

    Raises:
        OpenApiError: it cannot be built.
    """
    began = time.monotonic()
    try:
        document = build(app)
    except OpenApiError as error:
        if error.problem != logged:
            log.error(str(error))
        raise
    took, size = time.monotonic() - began, len(document.body) / 1e6
    log.debug(f"OpenAPI document built in {took:.1f} s: {size:.1f} MB, {len(document.compressed) / 1e6:.1f} compressed")
    return document

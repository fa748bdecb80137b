"""Build the OpenAPI document in a process of its own while the workers start, once for all of them."""

from __future__ import annotations

import gc
import json
import mmap
import os
import select
import signal
import struct
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from opa._compat.fastapi import tested
from opa.http.openapi.build import is_fastapis_own
from opa.http.openapi.cache import build_and_log
from opa.http.openapi.document import Document
from opa.http.openapi.problems import OpenApiError
from opa.http.openapi.state import Routes, fingerprint, plugins_get_the_application
from opa.logging.logger import log
from opa.process.orphans import end_with_parent

if TYPE_CHECKING:
    from fastapi import FastAPI

    from opa.core.manager import PluginManager

MANY_ROUTES = 100
"""With fewer it takes less than 50 ms when someone asks for it."""
LIMIT = 120.0
"""Seconds after which it is no longer waited for: a process that was forked beside a thread may hang."""
BUILDER_NICENESS = 10
HEADER = struct.Struct("!Q")
"""The beginning of the file: the length of the JSON object behind it, written when all else is there."""


class Early(NamedTuple):
    """A document that is being built: made in the master, and read in the workers, which are forked later.

    Attributes:
        routes: what it describes.
        file: descriptor of what is shared.
        done: descriptor of a pipe that is at its end when the process that builds has ended.
        deadline: time of `time.monotonic`.
    """

    routes: Routes
    file: int
    done: int
    deadline: float

    def wait(self, app: FastAPI) -> Document | None:
        """The document, or None where this process has to build it; see `EarlyDocument`."""
        end = select.poll()
        end.register(self.done)
        if not end.poll(1000 * max(0.0, self.deadline - time.monotonic())):
            log.warning(f"the OpenAPI document is not there after {LIMIT:g} s; this process builds it")
            return None
        size = os.fstat(self.file).st_size
        shared = memoryview(mmap.mmap(self.file, size, prot=mmap.PROT_READ) if size else b"")
        (length,) = HEADER.unpack(shared[: HEADER.size]) if size else (0,)
        if not length:
            log.warning("the process that builds the OpenAPI document ended before it was done; this process builds it")
            return None
        rest = shared[HEADER.size + length :]
        about = json.loads(bytes(shared[HEADER.size : HEADER.size + length]))
        if about["fingerprint"] is not None and about["fingerprint"] != fingerprint(app):
            return None
        if about["problem"] is not None:
            raise OpenApiError(about["problem"])
        place = about["place"] and tuple(about["place"])
        return Document(rest[: about["size"]], rest[about["size"] :], about["etag"], about["servers"], place)


def begin(app: FastAPI, manager: PluginManager) -> Early | None:
    """Fork a process that builds the document of `app`; None where that is not worth it, or not possible.

    Call it before the workers are forked, and before there are threads or an event loop.

    Args:
        app: the application.
        manager: its plugins.
    """
    if not app.openapi_url or len(app.routes) < MANY_ROUTES or not is_fastapis_own(app) or tested.problem():
        return None
    master = os.getpid()
    try:
        file = _shared_file()
        done, writer = os.pipe()
        early = Early(Routes.from_app(app), file, done, time.monotonic() + LIMIT)
        child = os.fork()
    except OSError as error:
        log.warning(
            f"the OpenAPI document is built when it is first requested, since no process can be forked: {error}"
        )
        return None
    if child == 0:
        _build_and_exit(app, manager, file, master)
    # The other process has the only writing end now, and closes it by ending, however it does.
    os.close(writer)
    return early


def _shared_file() -> int:
    """The descriptor of a file without a name; on Linux it needs no folder to write to."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("openapi")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _build_and_exit(app: FastAPI, manager: PluginManager, file: int, master: int) -> NoReturn:
    """Run nothing of what the master has planned for its own end."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end_with_parent(master)
        os.nice(BUILDER_NICENESS)
        gc.disable()  # it would write to all of the memory that is shared with the master
        _write(file, app, manager)
        status = 0
    except Exception as error:  # noqa: BLE001 - there is no caller to tell
        log.opt(exception=error).error("the OpenAPI document cannot be built early: {!r}", error)
    finally:
        os._exit(status)


def _write(file: int, app: FastAPI, manager: PluginManager) -> None:
    about: dict[str, Any] = {"problem": None, "fingerprint": None}
    if plugins_get_the_application(manager):
        about["fingerprint"] = fingerprint(app)
    parts: list[bytes | memoryview] = []
    try:
        document = build_and_log(app)
    except OpenApiError as error:
        about["problem"] = error.problem
    else:
        if app.root_path_in_servers:
            document = document.below(app.root_path.rstrip("/"))
        parts = [document.body, document.compressed]
        about |= {"etag": document.etag, "servers": document.servers, "place": document.place, "size": len(parts[0])}
    text = json.dumps(about).encode()
    with os.fdopen(file, "wb", closefd=False) as writing:
        writing.writelines([HEADER.pack(0), text, *parts])
    os.pwrite(file, HEADER.pack(len(text)), 0)

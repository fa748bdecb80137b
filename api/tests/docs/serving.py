"""An application behind a real HTTP server, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import uvicorn
from fastapi import FastAPI

from tests.serve.process import wait_until


@contextmanager
def served(app: FastAPI) -> Iterator[httpx2.Client]:
    """A client of the application, which is started, and stopped in the end.

    Unlike Starlette's test client it has an answer while the background tasks of the request still run.
    """
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=_run, args=[server], name="server")
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), seconds=40, what="the application has started")
        assert server.started, "the application does not start; the log says why"
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def _run(server: uvicorn.Server) -> None:
    # It exits where the application does not start.
    with suppress(SystemExit):
        server.run()

"""What does in our own way what a library does, for the sake of time, is compared again when the library changes that.

Such a place calls no `super()`, so a fix or a feature of a new version would be missing there, and nothing would tell.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from opa._util.import_strings import resolve

LOCK = Path(__file__).parents[1] / "requirements.lock"

COPIES = {
    ("fastapi:FastAPI.__call__", "opa.http.application:Api.__call__"): "067204dd72429dba",
    ("starlette.applications:Starlette.__call__", "opa.http.application:Api.__call__"): "a317729672360f7d",
    ("fastapi:FastAPI.setup", "opa.http.application:Api.setup"): "e3463ce672f78027",
    (
        "starlette.middleware.errors:ServerErrorMiddleware.__call__",
        "opa.http.outermost:Outermost.__call__",
    ): "5e390aaf3fb51cbe",
    ("starlette.routing:Router.__call__", "opa.http.routing.router:IndexedRouter.__call__"): "1b49227318e55adf",
    (
        "fastapi:APIRouter._iter_low_priority_routes",
        "opa.http.routing.router:IndexedRouter.frontend_routes",
    ): "b8b4ced2758ba38d",
    ("starlette.datastructures:URL.__init__", "opa.http.slash_redirect:_urls_of"): "3bd4c66e520741d8",
    (
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received",
        "opa.serve.protocol:HttpProtocol.data_received",
    ): "b4f9892d120d3dbd",
    (
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol._start_asgi_task",
        "opa.serve.protocol:HttpProtocol.start_request",
    ): "dcc5a31fb6b7ca30",
    (
        "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_response_complete",
        "opa.serve.protocol:HttpProtocol.on_response_complete",
    ): "f6ae4a31a9a633ac",
}
"""What a library does, and where we do it: a hash of the library's source as it was when the two were compared."""


def is_locked(package: str) -> bool:
    """Whether the installed version is the one that `make lock` has chosen."""
    return re.search(rf"^{package}=={re.escape(version(package))}\b", LOCK.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize(("theirs", "ours"), COPIES)
def test_a_function_of_a_library_is_as_it_was_when_ours_was_compared_with_it(theirs: str, ours: str) -> None:
    package = theirs.partition(":")[0].partition(".")[0]
    if not is_locked(package):
        pytest.skip(f"{package} {version(package)} is not the version in the lock")
    source = " ".join(inspect.getsource(resolve(theirs)).split())
    found = hashlib.sha256(source.encode()).hexdigest()[:16]
    assert callable(resolve(ours))
    assert found == COPIES[theirs, ours], f"compare {ours} with {theirs}, which has changed"

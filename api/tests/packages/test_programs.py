"""Where uv and pip get packages from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from opa.errors import PackagesError
from opa.packages.here import resolve_here
from opa.packages.needs import needs_of, plugins_in_folders
from opa.packages.own import own_packages
from opa.packages.programs import environment, find_installer, find_pip
from tests.packages.deps import deps, needs
from tests.project import Project
from tests.wheels import Wheels


@pytest.fixture
def refusing_index() -> Iterator[str]:
    """The address of an index that knows nobody, with a password in it."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://cook:pepper@127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_index_that_knows_nobody_is_told_without_the_password(
    needing: Project, wheels: Wheels, refusing_index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(needing, "soup", "ladle")
    for name in ("UV_NO_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    for name, value in (("PIP_INDEX_URL", refusing_index), ("UV_HTTP_RETRIES", "0"), ("PIP_RETRIES", "0")):
        monkeypatch.setenv(name, value)
    pip = find_pip()
    assert pip is not None
    with pytest.raises(PackagesError) as caught:
        resolve_here(needs_of(plugins_in_folders(needing.config())), own_packages(), pip, python="3.11")
    for told in (deps().output, str(caught.value)):
        assert "the index answers 401 at http://" in told
        assert "pepper" not in told


def test_each_program_takes_the_index_of_the_other_where_it_has_none_of_its_own() -> None:
    of_pip = {
        "PIP_INDEX_URL": "https://one/simple",
        "PIP_EXTRA_INDEX_URL": "https://two https://three",
        "PIP_FIND_LINKS": "/a /b",
        "PIP_CERT": "/ca.pem",
    }
    assert environment(of_pip, is_uv=True) == of_pip | {
        "UV_DEFAULT_INDEX": "https://one/simple",
        "UV_INDEX": "https://two https://three",
        "UV_FIND_LINKS": "/a,/b",
        "SSL_CERT_FILE": "/ca.pem",
    }
    of_uv = {"UV_DEFAULT_INDEX": "main=https://one/simple", "UV_INDEX": "more=https://two", "UV_FIND_LINKS": "/a,/b"}
    assert environment(of_uv, is_uv=False) == of_uv | {
        "PIP_INDEX_URL": "https://one/simple",
        "PIP_EXTRA_INDEX_URL": "https://two",
        "PIP_FIND_LINKS": "/a /b",
    }
    assert environment(of_pip | of_uv, is_uv=True)["UV_DEFAULT_INDEX"] == "main=https://one/simple"


def test_without_uv_and_pip_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opa.packages.programs.find_uv", lambda: None)
    monkeypatch.setattr("opa.packages.programs.find_pip", lambda: None)
    with pytest.raises(PackagesError, match="installed by uv or pip, and neither is there"):
        find_installer()

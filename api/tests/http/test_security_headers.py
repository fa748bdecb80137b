from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send

from opa.errors import SettingsError
from tests.project import Project

PLUGIN = """
    from fastapi import Response, WebSocket
    from opa import get_router

    router = get_router()

    @router.get("/plain")
    def plain():
        return 1

    @router.get("/framed")
    def framed(response: Response):
        response.headers["X-Frame-Options"] = "SAMEORIGIN"

    @router.get("/upper")
    def upper():
        response = Response()
        response.raw_headers.append((b"X-Frame-Options", b"SAMEORIGIN"))
        return response

    @router.websocket("/refused")
    async def refused(websocket: WebSocket):
        await websocket.send_denial_response(Response("<b>no</b>", 403))

    @router.get("/broken")
    def broken():
        raise ValueError("broken")

    @router.websocket("/socket")
    async def socket(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_text("open")
"""


@pytest.mark.parametrize("path", ["/plain", "/broken", "/nothing", "/healthz", "/docs", "/openapi.json", "/plain/"])
def test_every_response_tells_browsers_what_not_to_do_with_it(project: Project, path: str) -> None:
    project.plugin("shop.py", PLUGIN)
    with project.client(raise_server_exceptions=False, follow_redirects=False) as client:
        headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


def test_a_response_that_has_the_header_keeps_its_own(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    with project.client() as client:
        headers = client.get("/framed").headers
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert headers["x-content-type-options"] == "nosniff"


def test_null_leaves_a_header_out(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    project.settings(CONTENT_TYPE_OPTIONS=None, FRAME_OPTIONS="no", REFERRER_POLICY="null", PAGES_POLICY=None)
    with project.client() as client:
        names = {*client.get("/plain").headers, *client.get("/docs").headers}
    assert names == {"content-length", "content-type"}


def test_browsers_are_told_to_use_tls_over_tls_alone(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    project.settings(HSTS_SECONDS=3600)
    with project.client() as client:
        assert "strict-transport-security" not in client.get("/plain").headers
        secure = client.get("https://testserver/plain").headers
    assert secure["strict-transport-security"] == "max-age=3600"


def test_a_header_in_another_case_is_the_same(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    with project.client() as client:
        headers = client.get("/upper").headers
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]


def test_a_websocket_that_a_route_refuses_with_a_response_has_them_too(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    with (
        project.client() as client,
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/refused"),
    ):
        pass
    assert refused.value.headers["x-content-type-options"] == "nosniff"


def test_a_websocket_opens_as_before(project: Project) -> None:
    project.plugin("shop.py", PLUGIN)
    with project.client() as client, client.websocket_connect("/socket") as websocket:
        assert websocket.receive_text() == "open"


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("GET", 405), ("GET", 307), ("OPTIONS", 200)])
@pytest.mark.parametrize("origins", [[], ["https://app.example.com"]])
def test_headers_that_can_be_gone_through_once_alone_arrive(
    project: Project, method: str, status: int, origins: list[str]
) -> None:
    """ASGI has them as an iterable."""

    async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"x-kind", b"bare"), (b"x-frame-options", b"SAMEORIGIN"), (b"access-control-allow-origin", b"*")]
        await send({"type": "http.response.start", "status": status, "headers": iter(headers)})
        await send({"type": "http.response.body"})

    project.settings(ALLOW_ORIGINS=origins)
    app = project.app()
    app.mount("/bare", bare)
    asks = {"Origin": "https://partner.example.com", "Access-Control-Request-Method": "GET"}
    with TestClient(app, follow_redirects=False) as client:
        headers = client.request(method, "/bare/", headers=asks).headers
    assert (headers["x-kind"], headers.get_list("x-frame-options")) == ("bare", ["SAMEORIGIN"])
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("value", ["a\nb", "é", "a\x00"])
def test_a_value_that_can_be_no_header_is_a_mistake_in_the_settings(project: Project, value: str) -> None:
    project.settings(FRAME_OPTIONS=value)
    with pytest.raises(SettingsError, match=r"FRAME_OPTIONS.*the value of a header"):
        project.app()


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/oauth2-redirect"])
def test_our_pages_run_their_own_scripts_and_no_other(project: Project, path: str) -> None:
    with project.client() as client:
        page = client.get(path)
    policy = page.headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*);", policy)
    assert scripts is not None
    assert "unsafe" not in scripts[1]
    assert "{" not in policy
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    hashes = [f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in inline]
    assert scripts[1].split() == ["'self'", *hashes]
    assert not re.search(r"\son\w+=|javascript:", page.text)


def test_pages_whose_files_come_from_elsewhere_have_no_policy(project: Project) -> None:
    project.settings(SELF_HOSTED=False)
    with project.client() as client:
        assert "content-security-policy" not in client.get("/docs").headers


def test_the_path_that_a_proxy_tells_is_no_script_in_our_pages(project: Project) -> None:
    root = "/r'oot\"><script>alert(1)</script>"
    for path, scripts in (("/docs", 1), ("/redoc", 0)):
        page = TestClient(project.app(), root_path=root).get(path)
        assert "alert(1)</script>" not in page.text
        assert page.headers["content-security-policy"].count("sha256-") == scripts

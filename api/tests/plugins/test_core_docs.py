from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from tests.project import Project

EXTERNAL = re.compile(r"""(?:src|href|url)\s*[=:]\s*["']?(?:https?:)?//""")
REFERENCES = re.compile(r"""(?:src|href|spec-url|url)\s*[=:]\s*["']([^"']+)["']""")


def references(page: str) -> set[str]:
    """Every URL that a documentation page asks for."""
    found = set(REFERENCES.findall(page))
    assert found
    return found


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_page_needs_nothing_from_another_host(project: Project, path: str) -> None:
    with project.client() as client:
        page = client.get(path).text
        assert not EXTERNAL.search(page)
        assert "//" not in re.sub(r"<!--.*?-->|^\s*//.*$", "", page, flags=re.DOTALL | re.MULTILINE)
        for url in references(page):
            assert client.get(url).status_code == 200, url


def test_swagger_ui_does_not_ask_its_makers_to_check_the_description(project: Project) -> None:
    with project.client() as client:
        assert '"validatorUrl": null' in client.get("/docs").text


def test_redoc_may_load_no_picture_from_another_host(project: Project) -> None:
    with project.client() as client:
        assert "img-src 'self' data:;" in client.get("/redoc").headers["content-security-policy"]


def files_of(client: TestClient) -> list[str]:
    urls = references(client.get("/docs").text) | references(client.get("/redoc").text)
    return sorted(url for url in urls if url.endswith((".js", ".css", ".png")))


def test_the_files_have_their_types_and_may_be_kept_for_good(project: Project) -> None:
    with project.client() as client:
        answers = [client.get(url) for url in files_of(client)]
        assert [answer.headers["content-type"].partition(";")[0] for answer in answers] == [
            "image/png",
            "text/javascript",
            "text/javascript",
            "text/css",
        ]
        for answer in answers:
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["etag"]


def test_only_the_files_of_the_pages_are_served(project: Project) -> None:
    with project.client() as client:
        folder = files_of(client)[0].rpartition("/")[0]
        for name in ("__init__.py", "..%2f__init__.py", "..%2fcore.py", ""):
            assert client.get(f"{folder}/{name}").status_code == 404


def test_with_self_hosted_off_the_pages_are_those_of_fastapi(project: Project) -> None:
    project.settings(SELF_HOSTED=False)
    with project.client() as client:
        assert "https://cdn.jsdelivr.net" in client.get("/docs").text
        assert "https://cdn.jsdelivr.net" in client.get("/redoc").text


def test_the_urls_of_the_document_and_its_pages_can_be_set(project: Project) -> None:
    project.settings(DOCS_URL="/swagger", REDOC_URL="/reading", OPENAPI_URL="/api.json")
    with project.client() as client:
        for path in ("/swagger", "/reading"):
            page = client.get(path).text
            assert "/api.json" in page
            for url in references(page):
                assert client.get(url).status_code == 200, url
        assert client.get("/swagger/oauth2-redirect").status_code == 200
        assert client.get("/docs").status_code == 404
        assert client.get("/redoc").status_code == 404
        assert client.get("/openapi.json").status_code == 404


@pytest.mark.parametrize(("off", "on"), [("DOCS_URL", "/redoc"), ("REDOC_URL", "/docs")])
def test_each_page_can_be_turned_off(project: Project, off: str, on: str) -> None:
    project.settings(**{off: None})
    with project.client() as client:
        assert client.get(on).status_code == 200
        assert client.get({"DOCS_URL": "/docs", "REDOC_URL": "/redoc"}[off]).status_code == 404


def test_the_document_and_its_pages_can_be_turned_off(project: Project) -> None:
    project.settings(DOCS_URL=None, REDOC_URL=None, OPENAPI_URL=None)
    app = project.app()
    with TestClient(app) as client:
        for path in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"):
            assert client.get(path).status_code == 404
    assert not [route for route in app.routes if "opa-docs" in getattr(route, "path", "")]


def test_oauth2_comes_back_to_a_page_that_is_there(project: Project) -> None:
    with project.client() as client:
        (url,) = re.findall(r"oauth2RedirectUrl: window.location.origin \+ '([^']+)'", client.get("/docs").text)
        assert "swaggerUIRedirectOauth2" in client.get(url).text


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_behind_a_proxy_every_url_has_its_prefix(project: Project, path: str) -> None:
    project.settings(OPENAPI_PREFIX="/api/v1")
    with project.client() as client:
        for url in references(client.get(path).text):
            assert urlsplit(url).path.startswith("/api/v1/")
            assert client.get(url.removeprefix("/api/v1")).status_code == 200, url


def test_a_prefix_that_the_server_gives_counts_too(project: Project) -> None:
    with project.client(root_path="/mounted") as client:
        assert "/mounted/openapi.json" in client.get("/docs").text


def test_the_pages_are_not_in_the_description(project: Project) -> None:
    with project.client() as client:
        assert client.get("/openapi.json").json()["paths"] == {}


def test_the_title_is_the_projects_and_is_text(project: Project) -> None:
    project.settings(PROJECT_NAME="Tools <b>& more</b>")
    with project.client() as client:
        for path in ("/docs", "/redoc"):
            assert "<title>Tools &lt;b&gt;&amp; more&lt;/b&gt; - " in client.get(path).text

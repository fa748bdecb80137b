"""The documentation below the console, where the installation has it."""

from __future__ import annotations

import hashlib
import importlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.project import Project

PAGE = "<html><body><script>let a = 1</script><script src=bundle.0123abcd.min.js></script>Plugins</body></html>"
POLICY = "Content-Security-Policy"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "documentation"
    (folder / "assets").mkdir(parents=True)
    for name, text in {"index.html": PAGE, "plugins.html": PAGE, "search.json": "{}", "odd ä.svg": "<svg/>"}.items():
        (folder / name).write_text(text)
    (folder / "assets" / "bundle.0123abcd.min.js").write_text("1")
    (tmp_path / "secret.html").write_text("secret")
    (folder / "out").symlink_to(tmp_path)
    monkeypatch.setenv("ENV", "dev")
    return folder


@contextmanager
def served(project: Project, folder: Path) -> Iterator[TestClient]:
    """The console with the documentation in `folder`; its modules are imported anew for each test."""
    with project.client(base_url="http://localhost") as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("opa.plugins.console.documentation"), "FOLDER", folder)
        yield client


@pytest.fixture
def client(project: Project, installed: Path) -> Iterator[TestClient]:
    with served(project, installed) as client:
        yield client


def test_it_is_served_below_the_console_and_in_its_navigation(client: TestClient) -> None:
    assert client.get("/opa/docs", follow_redirects=False).headers["location"] == "/opa/docs/"
    for path in ("/opa/docs/", "/opa/docs/index.html", "/opa/docs/plugins.html"):
        assert client.get(path).text == PAGE
    assert '<a href="/opa/docs/">Documentation</a>' in client.get("/opa").text
    assert 'href="/opa/docs/"' in client.get("/").text


def test_only_scripts_of_the_page_and_of_this_host_run(client: TestClient) -> None:
    policy = client.get("/opa/docs/").headers[POLICY]
    digest = b64encode(hashlib.sha256(b"let a = 1").digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "worker-src 'self'" in policy


def test_files_with_a_digest_in_their_name_are_kept_and_others_asked_for(client: TestClient) -> None:
    kept = client.get("/opa/docs/assets/bundle.0123abcd.min.js")
    assert "immutable" in kept.headers["cache-control"]
    asked = client.get("/opa/docs/search.json")
    assert asked.headers["cache-control"] == "no-cache"
    assert asked.headers["content-type"] == "application/json"
    assert client.get("/opa/docs/odd%20%C3%A4.svg").status_code == 200
    assert client.head("/opa/docs/plugins.html").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "../secret.html",
        "..%2fsecret.html",
        "%2e%2e/secret.html",
        "%2e%2e%2fsecret.html",
        "..%5csecret.html",
        "assets/../../secret.html",
        "out/secret.html",
        "/etc/passwd",
        "//etc/passwd",
        "index.html%00",
        "index.html/",
        "assets/",
        "assets",
        "INDEX.HTML",
    ],
)
def test_no_path_leads_out_of_it(client: TestClient, path: str) -> None:
    answer = client.get(f"/opa/docs/{path}", follow_redirects=False)
    assert answer.status_code == 404
    assert "secret" not in answer.text
    assert "root:" not in answer.text


def test_without_the_files_nothing_leads_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    with served(project, tmp_path / "none") as client:
        answer = client.get("/opa/docs/")
        assert answer.status_code == 404
        assert "make docs" in answer.text
        assert "/opa/docs" not in client.get("/opa").text + client.get("/").text


def test_it_requires_what_the_console_requires(
    project: Project, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "production")
    project.plugin(
        "who.py",
        """
        from opa import Actor, register
        @register("authenticators")
        async def who(connection):
            scopes = connection.headers.get("x-scopes")
            return None if scopes is None else Actor(id="ada", kind="test", scopes=scopes.split())
        """,
    )
    project.settings(PLUGINS={"authenticators": [{"URI": "who:who"}]})
    with served(project, installed) as client:
        for path in ("/opa/docs", "/opa/docs/", "/opa/docs/plugins.html", "/opa/docs/gone.html"):
            assert client.get(path, follow_redirects=False).status_code == 401
            assert client.get(path, headers={"x-scopes": "other"}, follow_redirects=False).status_code == 403
        assert client.get("/opa/docs/plugins.html", headers={"x-scopes": "console:read"}).text == PAGE

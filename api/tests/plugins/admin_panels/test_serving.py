"""Who gets to the pages, from where, and what a browser is told about them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from opa.errors import OpaError
from tests.plugins.admin_panels.library import HTML, OWN, Library, problems


def test_each_action_needs_its_scope(library: Library) -> None:
    book = {"title": "Emma"}
    with library.visitor("admin:*") as ada:
        ada.send("/book/create", book)
        for scopes, see, others, create, edit, delete in (
            ("", 401, 401, 401, 401, 401),
            ("shop:write", 403, 403, 403, 403, 403),
            ("admin:book:edit", 403, 403, 403, 403, 403),
            ("admin:read", 200, 200, 403, 403, 403),
            ("admin:book:read", 200, 403, 403, 403, 403),
            ("admin:book:read admin:book:create", 200, 403, 200, 403, 403),
            ("admin:book:read admin:edit", 200, 403, 403, 200, 403),
            ("admin:book:*", 200, 403, 200, 200, 200),
        ):
            ada.be(scopes)
            page = ada.get("/book/list")
            got = (
                *(page[0], ada.get("/author/list")[0]),
                *(ada.get("/book/create")[0], ada.get("/book/edit?pk=1")[0]),
                ada.act("/book/row-action?name=delete&pk=1")[0],
            )
            assert got == (see, others, create, edit, delete), scopes
            assert ("New Book" in page[1]) == (create == 200), scopes
            assert ("/book/edit?pk=1" in page[1]) == (edit == 200), scopes
            assert ('name="delete"' in page[1] or 'data-name="delete"' in page[1]) == (delete == 200), scopes
        ada.be("admin:book:*")
        assert library.rows("select * from books") == []
        ada.send("/book/create", book)
        ada.be("admin:book:read")
        assert [ada.send("/book/create", {"title": "x"})[0], ada.send("/book/edit?pk=1", {"title": "x"})[0]] == [
            403,
            403,
        ]
        assert ada.act("/book/action?name=delete&all=1")[0] == 403
        assert library.rows("select title from books") == [("Emma",)]


def test_a_relation_is_shown_to_those_who_may_see_its_panel(library: Library) -> None:
    with library.visitor() as ada:
        ada.send("/author/create", {"name": "Jane"})
        ada.send("/book/create", {"title": "Emma", "author": "1"})
        ada.be("admin:book:*")
        assert "Jane" not in ada.get("/book/list")[1] + ada.get("/book/detail?pk=1")[1] + ada.get("/book/edit?pk=1")[1]
        assert ada.get("/_api/author/relation-lookup?pks=1")[0] == 403
        ada.send("/book/edit?pk=1", {"title": "Emma!", "author": "2"})
    assert library.rows("select title, author_id from books") == [("Emma!", 1)]


def test_pages_of_plugins_are_shown_to_those_with_their_scope(library: Library) -> None:
    with library.visitor("admin:stock:read") as ada:
        assert "<p>stock of all</p>" in ada.get("/stock")[1]
        assert "Stock &lt;1&gt;" in ada.get("/")[1]
        assert ada.get("/failing")[0] == 403
        assert "Failing" not in ada.get("/")[1]
        ada.be("failing:see")
        status, page = ada.get("/failing")
    assert status == 500
    assert "the log has the error" in problems(page)[0]
    assert "planted" not in page


def test_a_foreign_origin_changes_nothing(library: Library) -> None:
    with library.visitor() as ada:
        ada.send("/book/create", {"title": "Emma"})
        for given in (
            {"X-Nothing": ""},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost:81"},
            {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        ):
            answers = (
                ada.send("/book/create", {"title": "x"}, given),
                ada.send("/book/edit?pk=1", {"title": "x"}, given),
                ada.act("/book/row-action?name=delete&pk=1", given),
                ada.act("/book/action?name=delete&all=1", given),
            )
            refused = (403, ["this must come from a page of this host"])
            assert [(status, problems(page)) for status, page in answers] == [refused] * 4, given
    assert library.rows("select title from books") == [("Emma",)]


def test_asking_only_for_the_head_of_a_page_changes_nothing(library: Library) -> None:
    with library.visitor() as ada:
        assert ada.send("/shelf/create", {"name": "a", "row": "1", "note": "x"})[0] == 200
        key = re.findall(r"/admin/shelf/edit\?pk=([^\"&]+)", ada.get("/shelf/list")[1])[0]
        ada.be("admin:shelf:*")
        for path in (f"/shelf/edit?pk={key}", "/shelf/create", "/shelf/list", "/"):
            given = {"X-CSRFToken": ada.token(), "Content-Type": "application/x-www-form-urlencoded"}
            answer = ada.client.request("HEAD", f"/admin{path}", content="name=b&row=2&note=y", headers=given)
            assert answer.status_code == 200, path
        assert ada.client.head(f"/admin/_api/shelf/row-action?name=delete&pk={key}").status_code == 405
    assert library.rows("select * from shelves") == [("a", "1", "x")]


def test_a_form_without_its_token_changes_nothing(library: Library) -> None:
    with library.visitor() as ada:
        answer = ada.client.post("/admin/book/create", data={"title": "x"}, headers=OWN)
    assert answer.status_code == 403
    assert library.rows("select title from books") == []


def test_pages_run_no_script_but_those_of_this_host_and_load_nothing_else(library: Library) -> None:
    with library.visitor() as ada:
        ada.send("/author/create", {"name": "Jane"})
        ada.send("/book/create", {"title": "Emma", "author": "1"})
        files: set[str] = set()
        for path in ("/", "/book/list", "/book/create", "/book/edit?pk=1", "/book/detail?pk=1", "/stock", "/nothing"):
            answer = ada.client.get(f"/admin{path}")
            policy, page = answer.headers["content-security-policy"], answer.text
            nonce = re.findall(r"script-src 'self' 'nonce-([\w-]{20,})'", policy)
            assert re.findall(r"<script(?: nonce=\"([^\"]+)\")?>", page) == nonce * len(
                re.findall(r"<script(?: nonce[^>]*)?>", page)
            )
            assert "'unsafe-inline'" not in policy.partition("style-src")[0]
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<[^>]*\son[a-z]+\s*=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)), (
                path
            )
            assert not re.search(r'(?:href|src|action)="(?:https?:)?//|@import|url\(.?http', page), path
            files |= set(re.findall(r'(?:href|src)="(/admin/static/[^"]+)"', page))
        assert len(files) > 10
        contents = [ada.client.get(file) for file in sorted(files)]
    assert {answer.status_code for answer in contents} == {200}
    assert not [answer.url for answer in contents if re.search(r"@import|url\(['\"]?(?:https?:)?//", answer.text)]


def test_links_have_no_host_so_that_they_work_behind_a_proxy(library: Library) -> None:
    library.project.settings(OPENAPI_PREFIX="/api")
    with library.visitor() as ada:
        page = ada.get("/book/list")[1]
        sent = ada.client.post(
            "/admin/book/create", data={"title": "Emma", "csrftoken": ada.token()}, headers=OWN, follow_redirects=False
        )
        start = ada.client.get("/admin", follow_redirects=False)
    assert "http://localhost" not in page
    assert 'href="/api/admin/book/create?' in page
    assert (sent.headers["location"], start.headers["location"]) == ("/api/admin/book/list", "/api/admin/")


@pytest.mark.parametrize(("dev", "people", "url"), [(False, False, "/admin"), (True, True, None), (True, True, False)])
def test_it_is_not_there_where_nobody_can_sign_in_or_it_is_turned_off(
    library: Library, monkeypatch: pytest.MonkeyPatch, dev: bool, people: bool, url: str | None
) -> None:
    if dev:
        monkeypatch.setenv("ENV", "dev")
    library.project.settings(ADMIN_URL=url, **({} if people else {"PLUGINS": {}}))
    with library.visitor() as ada:
        assert ada.get("/book/list")[0] == 404


def test_in_development_without_people_it_is_open_on_this_machine_alone(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    with library.visitor("") as ada:
        assert ada.get("/book/list")[0] == 401  # there is a user who could sign in
    library.project.settings(PLUGINS={})
    with library.visitor("") as ada:
        assert ada.send("/book/create", {"title": "Emma"})[0] == 200
    with library.visitor("", host="evil.example") as mallory:
        assert mallory.get("/book/list")[0] == 403


def test_what_is_not_used_is_not_imported(library: Library) -> None:
    (library.project.plugins / "library" / "admin.py").unlink()
    library.project.plugin(
        "shop.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/admin')(lambda: 7)"
    )
    code = (
        "import sys; from opa.bootstrap import prepare; from opa.settings.load import load_settings;"
        "from opa.http.builder import build_app; from starlette.testclient import TestClient;"
        "app = build_app(prepare(load_settings(), mode='api'))\n"
        "with TestClient(app) as client: print(client.get('/admin').text, 'starlette_admin' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "7 False"


def test_without_the_package_the_start_says_how_to_install_it(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "starlette_admin" else found(name, *more)
    )
    with pytest.raises(OpaError) as told:
        library.project.app()
    assert "needs the package starlette-admin, which is not installed" in str(told.value)
    assert "library/admin.py:" in str(told.value)
    assert "pip install 'opa-stack[admin]'" in str(told.value)


def test_templates_of_the_project_are_not_those_of_the_admin(library: Library) -> None:
    for name in ("base.html", "layout.html", "list.html", "opa_start.html"):
        library.project.plugin(f"templates/{name}", "planted", folder=".")
    with library.visitor() as ada:
        assert "planted" not in ada.get("/")[1] + ada.get("/book/list")[1]


def test_a_websocket_is_refused(library: Library) -> None:
    with (
        TestClient(library.project.app(), headers=HTML) as client,
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/admin/book/list"),
    ):
        pass

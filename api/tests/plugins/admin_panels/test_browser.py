"""The admin as people see it: in Chromium, on an api that is not in development. It also takes pictures of it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from tests.docker.browser import chromium, page_in, picture_folder, serious_findings, show_as
from tests.plugins.access_sessions.people import HASH, PASSWORD
from tests.plugins.admin_panels.library import PLUGIN
from tests.serve.process import Opa, opa_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[4]
DOCS = (ROOT / "docs" / "admin.md").read_text()
HOSTILE = "<img src=x onerror=alert(1)>\"'\\"
SENT_TWICE = """() => {
  const form = document.querySelector("form[enctype]");
  const submit = () => new SubmitEvent("submit", { bubbles: true, cancelable: true });
  const send = () => (form.dataset.opaAsked = "yes") && form.dispatchEvent(submit());
  const first = [send(), send()];
  window.dispatchEvent(new Event("pageshow"));
  return [...first, send()];
}"""
"""Whether each that the server would take is sent: at first, by a second click, and by whoever has come back."""
USERS = {
    "ada": {"PASSWORD": HASH, "SCOPES": ["admin:*"]},
    "ben": {"PASSWORD": HASH, "SCOPES": ["admin:book:read"]},
    "eve": {"PASSWORD": HASH, "SCOPES": ["shop:read"]},
}


def block(path: str) -> str:
    """A file as the page of the documentation has it."""
    return str(re.findall(rf"```python {re.escape(path)}\n(.*?)```", DOCS, re.DOTALL)[0])


@pytest.fixture
def api(tmp_path: Path, redis_url: str, mongo_url: str) -> Iterator[Opa]:
    """With the examples of the documentation."""
    with opa_in(tmp_path / "project") as opa:
        for name in ("__init__", "models", "admin"):
            opa.plugin(f"library/{name}.py", block(f"plugins/library/{name}.py"))
        opa.plugin("library/__init__.py", PLUGIN)
        opa.plugin("desk.py", block("plugins/desk.py"))
        opa.plugin("stock.py", block("plugins/stock.py"))
        components = {
            "SQL": {"LOAD": "yes", "DRIVER": "sqlalchemy-async", "OPTS": {"URL": f"sqlite:///{tmp_path}/shop.db"}},
            "MONGODB": {"LOAD": "yes", "DRIVER": "mongodb-async-motor", "OPTS": {"URL": f"{mongo_url}/admin_browser"}},
            "AIOREDIS": {"LOAD": "yes", "DRIVER": "redis-aioredis", "OPTS": {"URL": f"{redis_url}/13"}},
        }
        settings = {"USERS": USERS, "PROJECT_NAME": "Library", "OPTIONAL_COMPONENTS": components}
        (opa.folder / "settings" / "admin.json").write_text(json.dumps({"default": settings}))
        for name in components:
            del opa.environ[f"OPA_OPTIONAL_COMPONENTS__{name}__LOAD"]
        with MongoClient[Any](mongo_url) as client:
            client.drop_database("admin_browser")
        opa.start(WEB_CONCURRENCY="1")
        opa.wait_until_ready()
        yield opa


def sign_in(page: Page, user: str, password: str = PASSWORD) -> None:
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_people_sign_in_and_create_edit_search_and_delete(api: Opa, tmp_path: Path, mongo_url: str) -> None:
    executable = chromium()
    with page_in(executable, f"http://127.0.0.1:{api.port}") as page:
        told: list[str] = []
        hosts: set[str] = set()
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.on("dialog", lambda dialog: told.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))

        page.goto("/admin/book/list")
        sign_in(page, "ada", "wrong")
        page.get_by_role("alert").wait_for()
        assert "/admin" not in page.url.partition("?")[0]
        told.clear()  # the browser says that this was answered 401
        sign_in(page, "ada")
        page.wait_for_url("**/admin/book/list")

        a_row_is_created_edited_searched_and_deleted(page, tmp_path / "shop.db")
        a_form_outlives_the_session_in_which_it_was_opened(page, tmp_path / "shop.db")
        told[:] = [text for text in told if "ERR_INTERNET_DISCONNECTED" not in text]
        with MongoClient[Any](mongo_url) as client:
            a_document_is_created_edited_searched_and_deleted(page, client["admin_browser"]["notes"])
        look_at_all_pages(page, tmp_path)
        assert [text for text in told if "status of 422" not in text] == []
        a_foreign_origin_is_refused(page, tmp_path / "shop.db")
        told.clear()

        page.goto("/admin/")
        page.get_by_label("Open user menu").last.click()
        page.get_by_role("button", name="Sign out").last.click()
        page.goto("/admin/book/list")
        sign_in(page, "ben")
        page.wait_for_url("**/admin/book/list")
        assert page.get_by_role("link", name="New Book").count() == 0
        assert page.get_by_role("link", name="Authors").count() == 0
        for path in ("/admin/book/create", "/admin/author/list", "/admin/book/edit?pk=1"):
            answer = page.goto(path)
            assert answer is not None
            assert (answer.status, page.get_by_text("This is not for you").count()) == (403, 1)
        assert hosts == {f"127.0.0.1:{api.port}"}
        assert [text for text in told if "403" not in text] == []


def a_row_is_created_edited_searched_and_deleted(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Authors").click()
    page.get_by_role("link", name="New Author").click()
    page.wait_for_url("**/admin/author/create*")
    assert page.evaluate(SENT_TWICE) == [True, False, True]
    page.reload()
    page.get_by_label("Name").fill("Jane Austen")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Save", exact=True).dblclick()
    page.wait_for_url("**/admin/author/list*")
    assert len(sent) == 1
    for title, pages in (("Emma", "0"), (HOSTILE, "7"), ("Persuasion", "249"), ("Mansfield Park", "560")):
        page.goto("/admin/book/create")
        page.get_by_label("Title").fill(title)
        page.get_by_label("Pages").fill(pages)
        page.locator(".select2-selection").click()
        page.locator(".select2-search__field").fill("jane")
        page.locator(".select2-results__option", has_text="Jane Austen").click()
        page.get_by_role("button", name="Save", exact=True).click()
        if pages == "0":
            page.get_by_text("a book has pages").wait_for()
            page.get_by_label("Pages").fill("474")
            page.get_by_role("button", name="Save", exact=True).click()
        page.wait_for_url("**/admin/book/list*")
    page.locator("tr", has_text="Emma").get_by_role("link", name="Edit").click()
    page.wait_for_url("**/admin/book/edit*")
    page.get_by_label("Pages").fill("475")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/book/list*")
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("select title, pages, author_id from books order by id").fetchall() == [
            *(("Emma", 475, 1), (HOSTILE, 7, 1), ("Persuasion", 249, 1), ("Mansfield Park", 560, 1))
        ]
    assert page.evaluate("typeof $('tr[data-sa-pk]').data('sa-pk')") == "string"
    page.get_by_placeholder("Search").fill("img")
    page.get_by_placeholder("Search").press("Enter")
    page.wait_for_url("**q=img*")
    row = page.locator("tbody tr")
    assert row.count() == 1
    assert HOSTILE in row.inner_text()
    row.get_by_title("Delete").click()
    page.get_by_role("dialog", name="Are you sure you want to delete this item?").wait_for()
    page.get_by_role("button", name="Yes, delete").click()
    page.get_by_text("successfully deleted").wait_for()
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("select count(*) from books").fetchone() == (3,)


def a_form_outlives_the_session_in_which_it_was_opened(page: Page, file: Path) -> None:
    page.goto("/admin/author/create")
    page.get_by_label("Name").fill("Anne Brontë")
    save = page.get_by_role("button", name="Save", exact=True)
    notice = page.get_by_role("alert").filter(has_text="This is not saved")

    page.context.set_offline(True)
    save.click()
    notice.get_by_text("the server does not answer").wait_for()
    page.context.set_offline(False)

    for user in ("ben", "ada"):
        page.context.clear_cookies(name="opa-session")
        save.click()
        notice.get_by_text("you are not signed in any more").wait_for()
        assert notice.count() == 1
        assert "/admin/author/create" in page.url
        page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")
        assert serious_findings(page) == []  # the mouse is still on the button
        with page.context.expect_page() as opened:
            notice.get_by_role("link", name="Sign in").click()
        sign_in(opened.value, user)
        opened.value.wait_for_url("**/admin/")
        opened.value.close()
        if user == "ben":
            save.click()
            notice.get_by_text("user:ada has opened this form, and user:ben is signed in now").wait_for()
    save.click()
    notice.get_by_text("user:ben has opened this form, and user:ada is signed in now").wait_for()
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").count("Bront") == 0
    save.click()
    page.wait_for_url("**/admin/author/list*")
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("select name from authors").fetchall() == [("Jane Austen",), ("Anne Brontë",)]
        database.execute("delete from authors where name like 'Anne%'")


def a_document_is_created_edited_searched_and_deleted(page: Page, notes: Any) -> None:
    """The first form by the keyboard alone."""
    page.goto("/admin/note/create")
    tab_until(page, lambda: page.evaluate("document.activeElement.name") == "title")
    page.keyboard.type("T")
    page.keyboard.press("Enter")
    page.get_by_text("at least 2 characters").wait_for()
    tab_until(page, lambda: page.evaluate("document.activeElement.name") == "title")
    page.keyboard.press("End")
    page.keyboard.type("ea")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/note/list*")
    page.goto("/admin/note/create")
    page.get_by_label("Title").fill("Bread")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/note/list*")
    page.locator("tr", has_text="Tea").get_by_role("link", name="Edit").click()
    page.wait_for_url("**/admin/note/edit*")
    page.get_by_label("Kind").select_option("letter")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/note/list*")
    assert [(each["title"], each["kind"]) for each in notes.find()] == [("Tea", "letter"), ("Bread", "memo")]
    page.get_by_placeholder("Search").fill("bre")
    page.get_by_placeholder("Search").press("Enter")
    page.wait_for_url("**q=bre*")
    assert page.locator("tbody tr").count() == 1
    page.locator("tbody tr").get_by_role("checkbox").check()
    page.get_by_role("button", name="With selected").click()
    page.locator("#actions-dropdown").get_by_text("Delete").click()
    page.get_by_role("button", name="Yes, delete all").click()
    page.get_by_text("successfully deleted").wait_for()
    assert [each["title"] for each in notes.find()] == ["Tea"]


def tab_until(page: Page, is_there: Callable[[], bool]) -> None:
    for _ in range(60):
        if is_there():
            return
        page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")


def look_at_all_pages(page: Page, folder: Path) -> None:
    """Have axe look at each page, on a desktop and on a phone, and take the pictures of the documentation."""
    pictures = picture_folder(folder / "pictures", ROOT / "docs" / "images")
    paths = {"start": "/admin/", "list": "/admin/book/list", "edit": "/admin/book/edit?pk=1"}
    paths |= {"create": "/admin/book/create"}
    paths |= {"detail": "/admin/book/detail?pk=1", "note": "/admin/note/edit?pk=", "page": "/admin/stock"}
    findings = []
    for name, path in paths.items():
        if name == "note":
            page.goto("/admin/note/list")
            page.locator("tbody tr").first.get_by_role("link", name="Edit").click()
            page.wait_for_url("**/admin/note/edit*")
        else:
            page.goto(path)
        for look in ("light", "phone"):
            show_as(page, look)
            findings += [f"{name} {look}: {found}" for found in serious_findings(page)]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} {look} is wide"
            if (name, look) in {("list", "light"), ("edit", "phone")}:
                page.screenshot(path=pictures / f"admin-{name}-{look}.png")
        show_as(page, "light")
    assert not findings, "\n".join(findings)


def a_foreign_origin_is_refused(page: Page, file: Path) -> None:
    token = next(each["value"] for each in page.context.cookies() if each["name"] == "starlette_admin_csrftoken")
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}):
        answer = page.request.post(
            "/admin/_api/book/row-action?name=delete&pk=1", headers={**headers, "X-CSRFToken": token}
        )
        assert answer.status == 403
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute("select count(*) from books").fetchone() == (3,)

"""The console: who may see it, what its pages show, and what plugins add."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.project import Project

SHOP = """
    '''<b>Sells</b> things'''
    from opa import PluginSettings, get_router
    from pydantic import SecretStr

    class Shop(PluginSettings):
        token: SecretStr = SecretStr("")
        title: str = "Shop"

    router = get_router()

    @router.get("/orders/{number}", summary="One <order>")
    def order(number: int) -> int:
        return number
"""
ADDED = """
    from opa import ConsoleCard, ConsolePage, register

    async def stock(request):
        return f"<p>stock of {request.query_params.get('of', 'all')}</p>"

    async def broken(request):
        raise ValueError("planted")

    async def low(request):
        return "<p>2 run low</p>"

    register("console_pages")(ConsolePage(path="stock", title="Stock", body=stock, scope="stock:read"))
    register("console_pages")(ConsolePage(path="broken", title="Broken", body=broken))
    register("console_cards")(ConsoleCard(title="Low", body=low, scope="stock:read"))
    register("console_cards")(ConsoleCard(title="Failing", body=broken))
"""
BADGES = """
    from opa import Actor

    class Badges:
        async def __call__(self, connection):
            badge = connection.headers.get("x-badge")
            return badge and Actor(id="ada", kind="badge", scopes=frozenset(badge.split()))
"""


@contextmanager
def client_of(project: Project, host: str = "localhost") -> Iterator[TestClient]:
    with TestClient(project.app(), base_url=f"http://{host}") as client:
        yield client


@pytest.fixture
def shop(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("ENV", "dev")
    project.plugin("shop.py", SHOP)
    project.settings(PLUGIN_SETTINGS={"shop": {"token": "planted", "title": "<i>Mine</i>"}}, SECRET_KEY="planted")
    return project


@pytest.fixture
def closed(project: Project) -> Project:
    """As in production, with people who have a badge."""
    project.plugin("shop.py", SHOP)
    project.plugin("added.py", ADDED)
    project.plugin("badges.py", BADGES)
    project.settings(PLUGINS={"authenticators": ["badges.Badges"]})
    return project


def get(client: TestClient, path: str, scopes: str = "") -> tuple[int, str]:
    answer = client.get(f"/opa{path}", headers={"X-Badge": scopes} if scopes else {})
    return answer.status_code, answer.text


def test_pages_show_plugins_routes_and_settings_without_secrets(shop: Project) -> None:
    shop.plugin("broken.py", "raise ValueError('<script>no')")
    shop.settings(PLUGIN_FAILURE="skip")
    with client_of(shop) as client:
        pages = {path: get(client, path) for path in ("", "/plugins", "/plugins/shop", "/routes", "/settings")}
        every = get(client, "/settings?all=1")[1]
        routes = get(client, "/routes?all=1&sort=path")[1]

    assert {status for status, _ in pages.values()} == {200}
    text = "".join(page for _, page in pages.values()) + every
    assert "planted" not in text
    for own in ("<b>Sells", "<order>", "<i>Mine", "<script>no"):
        assert own not in text.replace("&#34;", '"'), f"{own} is not escaped"
    assert "Plugin broken is broken" in pages[""][1]
    assert "One &lt;order&gt;" in pages["/routes"][1]
    assert "/healthz" not in pages["/routes"][1]
    assert "/healthz" in routes
    assert "&lt;i&gt;Mine" in pages["/plugins/shop"][1]
    assert "class Shop(PluginSettings)" in pages["/plugins/shop"][1]
    assert "RELOAD_POLLING" not in pages["/settings"][1]
    assert "RELOAD_POLLING" in every


def test_a_page_runs_no_script_but_that_of_this_host_and_asks_no_other_host(shop: Project) -> None:
    with client_of(shop) as client:
        page = client.get("/opa")
        files = re.findall(r'(?:href|src)="(/opa/files/[^"]+)"', page.text)
        kinds = {client.get(file).headers["content-type"] for file in files}

    assert "script-src 'self' ;" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r'(?:href|src|action)="(?:https?:)?//', page.text)
    assert "<script>" not in page.text
    assert kinds == {"image/svg+xml", "text/css; charset=utf-8", "text/javascript; charset=utf-8"}


def test_the_source_of_a_plugin_is_that_of_its_own_files_alone(shop: Project) -> None:
    shop.plugin("package/__init__.py", "# the beginning")
    shop.plugin("package/more/parts.py", "# parts of it")
    (shop.plugins / "package" / "link.py").symlink_to(shop.plugins / "shop.py")
    with client_of(shop) as client:
        assert "# the beginning" in get(client, "/plugins/package")[1]
        assert "# parts of it" in get(client, "/plugins/package?file=more/parts.py")[1]
        for file in ("link.py", "../shop.py", "/etc/passwd", "..%2fshop.py", "more", "__init__.py%00"):
            assert get(client, f"/plugins/package?file={file}")[0] == 404
        assert get(client, "/plugins/..%2fshop")[0] == get(client, "/plugins/none")[0] == 404
        (shop.plugins / "package" / "__init__.py").write_text("é" * 300_000)
        long = get(client, "/plugins/package")[1]
        assert "é" * 200_000 in long
        assert "é" * 200_001 not in long
        assert "The file is longer" in long
        (shop.plugins / "shop.py").unlink()
        assert "the file is gone" in get(client, "/plugins/shop")[1]


def test_an_error_with_half_a_character_has_a_page(shop: Project) -> None:
    shop.plugin("broken.py", "raise ValueError('half a \\ud800')")
    shop.settings(PLUGIN_FAILURE="skip")
    with client_of(shop) as client:
        for path in ("", "/plugins", "/plugins/broken"):
            status, text = get(client, path)
            assert status == 200
            assert "half a ?" in text


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]", "api.localhost", "10.1.2.3"])
def test_in_development_it_is_open_on_names_that_nobody_else_can_give(shop: Project, host: str) -> None:
    with client_of(shop, host) as client:
        assert get(client, "/settings")[0] == 200


def test_in_development_a_name_that_an_attacker_points_here_sees_nothing(shop: Project) -> None:
    with client_of(shop, "evil.example") as client:
        assert get(client, "")[0] == client.get("/").status_code == 403
    shop.settings(TRUSTED_HOSTS=["dev.example"])
    with client_of(shop, "dev.example") as client:
        assert get(client, "")[0] == 200


def test_it_is_not_there_where_nobody_can_sign_in(project: Project) -> None:
    with client_of(project) as client:
        assert get(client, "")[0] == client.get("/").status_code == 404


def test_a_page_of_tasks_imports_no_celery_where_there_is_no_task(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "celery"]:
        monkeypatch.delitem(sys.modules, name)
    with client_of(shop) as client:
        assert "No task is on a schedule" in get(client, "/schedule")[1]
        assert get(client, "/tasks")[0] == 200
        assert get(client, "/runs")[0] == get(client, "/dead")[0] == get(client, "/dead/x")[0] == 404
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
        assert client.post("/opa/schedule/run", data={"name": "x"}, headers=headers).status_code == 404
        assert "celery" not in sys.modules
        assert 'href="/opa/runs"' not in get(client, "")[1]


def test_it_can_be_turned_off_and_moved(shop: Project) -> None:
    shop.settings(CONSOLE_URL=None)
    with client_of(shop) as client:
        assert get(client, "")[0] == client.get("/").status_code == 404
    shop.settings(CONSOLE_URL="/ops/console/")
    with client_of(shop) as client:
        page = client.get("/ops/console")
        assert page.status_code == 200
        assert 'href="/ops/console/plugins"' in page.text


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("", "console:read"),
        ("/plugins", "console:read"),
        ("/plugins/shop", "console:read"),
        ("/routes", "console:read"),
        ("/settings", "console:settings"),
        ("/added/stock", "stock:read"),
        ("/added/none", "console:read"),
    ],
)
def test_each_page_requires_its_scope(closed: Project, path: str, scope: str) -> None:
    with client_of(closed) as client:
        good = 404 if "none" in path else 200
        assert get(client, path)[0] == 401
        assert get(client, path, "other:read")[0] == 403
        assert get(client, path, scope)[0] == good
        assert client.post(f"/opa{path}", headers={"X-Badge": scope}).status_code == 405


def test_parts_of_a_page_are_for_those_with_their_scope(closed: Project) -> None:
    closed.settings(PLUGIN_SETTINGS={"shop": {"title": "planted"}})
    with client_of(closed) as client:
        plain = get(client, "/plugins/shop", "console:read")[1]
        settings = get(client, "/plugins/shop", "console:read console:settings")[1]
        source = get(client, "/plugins/shop", "console:read console:source")[1]
        start, all_of_it = get(client, "", "console:read")[1], get(client, "", "console:* stock:*")[1]

    assert ("planted" in plain, "planted" in settings) == (False, True)
    assert ("class Shop" in plain, "class Shop" in source) == (False, True)
    assert ("Settings</a>" in start, "Settings</a>" in all_of_it) == (False, True)
    assert ("2 run low" in start, "2 run low" in all_of_it) == (False, True)
    assert ("Stock</a>" in start, "Stock</a>" in all_of_it) == (False, True)


def test_a_page_or_card_of_a_plugin_may_fail_alone(closed: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with client_of(closed) as client:
        broken, start = get(client, "/added/broken", "*"), get(client, "", "*")
        stock = get(client, "/added/stock?of=milk", "*")

    assert broken[0] == start[0] == 200
    assert "This part failed" in broken[1]
    assert "This part failed" in start[1]
    assert "2 run low" in start[1]
    assert "planted" not in broken[1] + start[1]
    assert "<p>stock of milk</p>" in stock[1]
    assert "added.broken cannot be shown on the console" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"path": "../x", "title": "t"}, "not a path of a page"),
        ({"path": "", "title": "t"}, "not a path of a page"),
        ({"path": "x", "title": "t", "scope": "a b"}, "not a scope"),
    ],
)
def test_a_page_that_can_be_none_is_refused_where_it_is_made(arguments: dict[str, Any], problem: str) -> None:
    from opa import ConsolePage, OpaError

    async def body(_request: Any) -> str:
        return ""

    with pytest.raises(OpaError, match=problem):
        ConsolePage(body=body, **arguments)


def test_an_open_page_is_sent_again_when_it_changes(shop: Project) -> None:
    shop.plugin(
        "added.py",
        ADDED.replace("stock of", "{next(count)} of").replace(
            "from opa", "import itertools\n    count = itertools.count()\n    from opa", 1
        ),
    )
    with (
        client_of(shop) as client,
        client.stream("GET", "/opa/added/stock", headers={"Accept": "text/event-stream"}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line.startswith("data: <p>"))
        assert [next(lines), next(lines)] == ["data: <p>0 of all</p>", "data: <p>1 of all</p>"]


def test_the_first_page_in_development_says_what_there_is(shop: Project) -> None:
    with client_of(shop) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "GET /orders/{number}" in page.text
        assert 'href="/opa"' in page.text
        assert 'href="/docs"' in page.text
        assert "plugins/" in page.text


@pytest.mark.parametrize(
    "answers",
    [
        "router.get('/')(lambda: 'mine')",
        "router.get('/{path:path}')(lambda: 'mine')",
        "class Mounted(Setup):\n            def run(self, app):\n                app.mount('/', served)",
    ],
)
def test_a_route_of_a_plugin_at_the_root_takes_the_place_of_that_page(shop: Project, answers: str) -> None:
    shop.plugin(
        "front.py",
        f"""
        from opa import Setup, get_router
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        served = Starlette(routes=[Route("/", lambda request: PlainTextResponse("mine"))])
        router = get_router()
        {answers}
        """,
    )
    with client_of(shop) as client:
        assert "mine" in client.get("/").text
        assert get(client, "")[0] == 200


def test_the_console_shows_requests_errors_and_times_of_each_route(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    project.settings(METRICS=True)
    project.plugin(
        "shop.py",
        """
        from opa import get_router
        router = get_router(prefix="/shop")

        @router.get("/quiet")
        def quiet(): ...

        @router.get("/busy/{number}")
        def busy(number: int):
            return 1 / number
        """,
    )
    with TestClient(project.app(), base_url="http://localhost", raise_server_exceptions=False) as client:
        for number in (0, 1, 2):
            client.get(f"/shop/busy/{number}")
        page = client.get("/opa/routes?sort=requests").text
        plugin = client.get("/opa/plugins/shop").text

    assert (
        '<td class="number" data-label="Requests">3</td><td class="number" data-label="Errors"><strong>1</strong></td>'
        in page
    )
    assert (
        '<td class="number" data-label="Requests">3</td><td class="number" data-label="Errors"><strong>1</strong></td>'
        in plugin
    )
    assert page.index("/shop/busy/{number}") < page.index("/shop/quiet")
    assert "With the setting" not in page


def test_an_unknown_path_is_a_page_of_the_console_for_a_browser(closed: Project) -> None:
    browser = {"Accept": "text/html,*/*", "X-Badge": "console:*"}
    with client_of(closed) as client:
        for path in ("/none", "/plugins/none", "/plugins/shop?file=none", "/added/none", "/files/x/y"):
            page = client.get(f"/opa{path}", headers=browser)
            assert page.status_code == 404, path
            assert 'href="/opa/plugins"' in page.text, "the navigation"
            assert 'aria-current="page"' not in page.text
            assert (
                client.get(f"/opa{path}", headers={"X-Badge": "console:*"})
                .headers["content-type"]
                .startswith("application/json")
            )
        missing = client.get("/opa/settings", headers=browser | {"X-Badge": "console:read"})
        assert (missing.status_code, "not for you" in missing.text) == (403, True)
        nobody = client.get("/opa/none", headers={"Accept": "text/html"})
        assert (nobody.status_code, "/opa/plugins" in nobody.text) == (404, False)
        assert client.get("/opa/settings", headers={"Accept": "text/html"}).status_code == 401


def test_a_page_that_fails_says_so_and_the_log_has_the_error(
    shop: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with client_of(shop) as client:
        monkeypatch.setattr("opa.plugins.console.settings_page.settings_of", lambda manager: 1 / 0)
        page = client.get("/opa/settings", headers={"Accept": "text/html"})
    assert page.status_code == 500
    assert "This page failed" in page.text
    assert "ZeroDivisionError" not in page.text
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_route_leads_to_its_place_in_the_documentation(shop: Project) -> None:
    shop.plugin(
        "tagged.py",
        """
        from opa import get_router
        router = get_router(tags=["a b/c"])

        @router.get("/tagged", operation_id="mine?")
        def tagged(): ...

        @router.get("/hidden", include_in_schema=False)
        def hidden(): ...
        """,
    )
    with client_of(shop) as client:
        for path in ("/routes", "/plugins/tagged"):
            assert 'href="/docs#/a%20b%2Fc/mine%3F">/tagged</a>' in get(client, path)[1]
            assert "<code>/hidden</code>" in get(client, path)[1]
        assert 'href="/docs#/default/order_orders__number__get"' in get(client, "/routes")[1]
        operation = client.get("/openapi.json").json()["paths"]["/orders/{number}"]["get"]
        assert operation["operationId"] == "order_orders__number__get"
    shop.settings(DOCS_URL=None)
    with client_of(shop) as client:
        assert "<code>/tagged</code>" in get(client, "/routes")[1]

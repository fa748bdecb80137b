"""The files in `static/` of plugins are served, as browsers, caches and people who set rules expect it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from opa import OpaError, get_plugin_manager, log, static_url
from opa.checks import findings_in_application
from opa.checks.taken_parts import routes_that_lose_a_part
from opa.errors import RegistrationError
from opa.introspection import plugins_of, routes_of
from opa.loading.candidates import NOT_ALLOWED, problem_of_folder
from opa.plugins.static_files.content_types import content_type
from opa.plugins.static_files.folder import Folder
from tests.project import Project, no_root

KEPT = "max-age=31536000, immutable"


@pytest.fixture
def shop(project: Project) -> Project:
    """A project with a plugin that has two files, which are served."""
    project.plugin("shop/__init__.py")
    project.plugin("shop/static/app.css", "body { color: teal }")
    project.plugin("shop/static/js/app.js", "0123456789")
    project.settings(STATIC=True)
    return project


def test_files_are_served_with_what_a_browser_needs_to_know(shop: Project) -> None:
    with shop.client() as client:
        style, script = client.get("/static/shop/app.css"), client.get("/static/shop/js/app.js")
        assert (style.status_code, style.text) == (200, "body { color: teal }")
        assert style.headers["content-type"] == "text/css; charset=utf-8"
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert style.headers["x-content-type-options"] == "nosniff"
        assert style.headers["cache-control"] == "no-cache"
        head = client.head("/static/shop/app.css")
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "20")
        wrong = client.post("/static/shop/app.css")
        assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")


def test_types_are_not_sniffed_also_where_that_header_is_left_out_elsewhere(shop: Project) -> None:
    shop.settings(CONTENT_TYPE_OPTIONS=None)
    with shop.client() as client:
        assert client.get("/static/shop/app.css").headers["x-content-type-options"] == "nosniff"
        assert "x-content-type-options" not in client.get("/healthz").headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mjs", "text/javascript"),
        ("A.SVG", "image/svg+xml"),
        ("a.woff2", "font/woff2"),
        ("a.css.map", "application/json"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown-ending", "application/octet-stream"),
        ("Makefile", "application/octet-stream"),
    ],
)
def test_the_type_follows_from_the_name(name: str, expected: str) -> None:
    assert content_type(name) == expected


def test_a_file_that_has_not_changed_is_not_sent_again(shop: Project) -> None:
    with shop.client() as client:
        first = client.get("/static/shop/app.css").headers
        for headers in (
            {"If-None-Match": first["etag"]},
            {"If-None-Match": f'"other", W/{first["etag"]}'},
            {"If-Modified-Since": first["last-modified"]},
        ):
            again = client.get("/static/shop/app.css", headers=headers)
            assert (again.status_code, again.content) == (304, b""), headers
            assert again.headers["etag"] == first["etag"]
        assert client.get("/static/shop/app.css", headers={"If-None-Match": '"other"'}).status_code == 200


def test_parts_of_a_file_are_sent(shop: Project) -> None:
    with shop.client() as client:

        def part(ranges: str, **headers: str) -> tuple[int, str]:
            answer = client.get("/static/shop/js/app.js", headers={"Range": ranges, **headers})
            return answer.status_code, answer.text

        etag = client.get("/static/shop/js/app.js").headers["etag"]
        assert part("bytes=2-4") == (206, "234")
        assert part("bytes=-3") == (206, "789")
        assert part("bytes=2-4", **{"If-Range": etag}) == (206, "234")
        assert part("bytes=2-4", **{"If-Range": '"other"'}) == (200, "0123456789")
        for of_no_known_unit in ("items=2-4", "bytes2-4", "", "="):
            assert part(of_no_known_unit) == (200, "0123456789")
        assert part("bytes=10-") == (416, "")
        assert part("bytes=" + ",".join(["0-1"] * 5000)) == (200, "0123456789")
        status, several = part("bytes=0-1,5-6")
        assert (status, several.lower().count("content-range: bytes")) == (206, 2)


def test_a_browser_keeps_what_has_the_digest_of_the_file_and_nothing_else(shop: Project) -> None:
    file = shop.plugins / "shop" / "static" / "app.css"
    with shop.client() as client:
        url = static_url("shop", "app.css")
        assert re.fullmatch(r"/static/shop/app\.css\?v=[0-9a-f]{16}", url)
        assert client.get(url).headers["cache-control"] == KEPT
        assert client.get(url, headers={"If-None-Match": client.get(url).headers["etag"]}).status_code == 304
        for wrong in ("?v=0123456789abcdef", "?v=", "?v=" + "a" * 5000, "?v=%00", f"{url.partition('.css')[2]}0"):
            answer = client.get(f"/static/shop/app.css{wrong}")
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache"), wrong
        # A page of before has the old URL: it gets the new file, and does not keep it under that.
        file.write_text("body { color: plum }")
        answer = client.get(url)
        assert (answer.text, answer.headers["cache-control"]) == ("body { color: plum }", "no-cache")
        assert static_url("shop", "app.css") != url
        assert client.get(static_url("shop", "app.css")).headers["cache-control"] == KEPT


def test_a_digest_is_that_of_the_content_whenever_it_is_written(shop: Project) -> None:
    """File systems count time in steps, so that one of the same length may look as if it had not changed."""
    file = shop.plugins / "shop" / "static" / "app.css"
    with shop.client():
        urls = set()
        for number in range(50):
            file.write_text(f"{number:020}")
            urls.add(static_url("shop", "app.css"))
        assert len(urls) == 50


def test_a_new_or_changed_file_is_there_with_the_next_request(shop: Project) -> None:
    with shop.client() as client:
        assert client.get("/static/shop/new.txt").status_code == 404
        shop.plugin("shop/static/new.txt", "new")
        assert client.get("/static/shop/new.txt").text == "new"
        shop.plugin("shop/static/new.txt", "newer")
        assert client.get("/static/shop/new.txt").text == "newer"
        (shop.plugins / "shop" / "static" / "new.txt").unlink()
        assert client.get("/static/shop/new.txt").status_code == 404


def test_names_that_urls_write_in_another_way_are_served_under_what_static_url_says(shop: Project) -> None:
    shop.plugin("shop/static/später & mehr/größe #1.txt", "found")
    with shop.client() as client:
        url = static_url("shop", "später & mehr/größe #1.txt")
        assert url.isascii()
        assert client.get(url).text == "found"


def test_a_link_within_the_folder_is_followed(shop: Project) -> None:
    static = shop.plugins / "shop" / "static"
    (static / "same.css").symlink_to("app.css")
    (static / "circle").symlink_to(static)
    with shop.client() as client:
        assert client.get("/static/shop/same.css").text == "body { color: teal }"
        assert client.get("/static/shop/circle/circle/app.css").status_code == 200


@pytest.mark.parametrize(
    ("static", "env", "status"), [("auto", "dev", 200), ("auto", "prod", 404), (False, "dev", 404)]
)
def test_files_are_served_in_development_and_elsewhere_by_the_setting(
    shop: Project, monkeypatch: pytest.MonkeyPatch, static: object, env: str, status: int
) -> None:
    monkeypatch.setenv("ENV", env)
    shop.settings(STATIC=static)
    with shop.client() as client:
        assert client.get("/static/shop/app.css").status_code == status
        # A proxy may have the files, under the same path.
        assert static_url("shop", "app.css").startswith("/static/shop/app.css?v=")


def test_urls_have_the_prefix_of_a_proxy(shop: Project) -> None:
    shop.settings(OPENAPI_PREFIX="/api/v1")
    shop.prepare()
    assert static_url("shop", "app.css").startswith("/api/v1/static/shop/app.css?v=")


BADGES = """
    from opa import Actor, register

    @register("authenticators")
    class Badges:
        async def __call__(self, connection):
            name = connection.headers.get("X-Badge")
            return Actor(name, "badge") if name else None
"""


def test_rules_of_access_hold_for_the_files_by_path_and_by_plugin(shop: Project) -> None:
    shop.plugin("badges.py", BADGES)
    shop.plugin("open/__init__.py")
    shop.plugin("open/static/a.txt", "open")
    shop.plugin("reports/__init__.py")
    shop.plugin("reports/static/a.txt", "closed")
    shop.plugin("reports/static/logo.svg", "<svg/>")
    access = {"open": "open", "/static/reports/logo.svg": "open"}
    shop.settings(ACCESS_DEFAULT="closed", ACCESS=access)
    with shop.client() as client:
        asked = ("shop/app.css", "open/a.txt", "reports/a.txt", "reports/logo.svg", "reports/.//a.txt", "reports/none")
        answers = {path: client.get(f"/static/{path}").status_code for path in asked}
        assert answers == dict(zip(asked, (401, 200, 401, 200, 401, 401), strict=True))
        assert client.get("/static/open/a.txt").headers["cache-control"] == "no-cache"
        known = client.get("/static/reports/a.txt", headers={"X-Badge": "anna"})
        assert (known.text, known.headers["cache-control"]) == ("closed", "private, no-cache")
        url = static_url("shop", "app.css")
        assert client.get(url, headers={"X-Badge": "anna"}).headers["cache-control"] == f"private, {KEPT}"


def test_observers_of_requests_are_told_one_route_for_all_files_of_a_plugin(shop: Project) -> None:
    shop.plugin(
        "watch.py",
        """
        from opa import RequestObserver, register

        seen = set()

        @register("request_observers")
        class Watch(RequestObserver):
            def ended(self, scope, status, seconds, place, actor):
                seen.add((place.route, place.plugin))
        """,
    )
    with shop.client() as client:
        for number in range(20):
            client.get(f"/static/shop/{number}.css")
        client.get("/static/shop/app.css")
        import watch  # type: ignore[import-not-found]

        assert watch.seen == {("/static/shop/{path:path}", "shop")}


def test_the_files_are_shown_with_the_routes_and_the_plugin(shop: Project) -> None:
    app = shop.app()
    (route,) = [route for route in routes_of(app) if not route.built_in]
    assert (route.path, route.methods, route.plugins) == ("/static/shop/{path:path}", ("GET", "HEAD"), ("shop",))
    (plugin,) = [plugin for plugin in plugins_of(app.manager) if plugin.name == "shop"]
    assert plugin.provides == ["static/ for plugin static_files"]
    assert "/static" not in str(app.openapi())


ROUTES = """
    from starlette.staticfiles import StaticFiles
    from opa import get_router

    router = get_router()

    @router.get("/static/shop/theme.css")
    def theme():
        return "made"

    @router.get("/{path:path}")
    def everything(path):
        return "everything"
"""


def test_what_a_plugin_has_below_the_path_comes_first_and_wider_routes_come_behind(shop: Project) -> None:
    shop.plugin("a_site.py", ROUTES)
    shop.plugin("shop/static/theme.css", "file")
    app = shop.app()
    assert [str(each) for each in findings_in_application(app)] == []
    with shop.client() as client:
        assert client.get("/static/shop/theme.css").json() == "made"
        assert client.get("/static/shop/app.css").text == "body { color: teal }"
        assert client.get("/static/shop/none.css").status_code == 404
        assert client.get("/static/none").json() == "everything"


AROUND = """
    from starlette.staticfiles import StaticFiles
    from opa import get_router

    router = get_router()
    router.mount("/static", StaticFiles(directory="."))
    router.mount("/elsewhere", StaticFiles(directory="."))

    @router.get("/static/{path:path}")
    def all(path): ...

    @router.get("/static/{plugin}/{name}")
    def one(plugin, name): ...

    @router.get("/static/{name}")
    def beside(name): ...
"""
HIDES = """
    from starlette.staticfiles import StaticFiles
    from opa import get_router

    router = get_router()
    router.mount("/static/shop", StaticFiles(directory="."))
"""


def test_what_a_plugin_has_around_the_path_is_reported(shop: Project) -> None:
    shop.plugin("around.py", AROUND)
    findings = list(map(str, routes_that_lose_a_part(shop.app())))
    assert [finding.partition(" gets ")[0] for finding in findings] == [
        "what is mounted at /static by plugin 'around'",
        "GET /static/{path:path} of plugin 'around'",
        "GET /static/{plugin}/{name} of plugin 'around'",
    ]
    assert all("asked for below /static/shop/, since the folder static/ of plugin 'shop' comes" in f for f in findings)


def test_what_hides_the_files_is_reported(shop: Project) -> None:
    shop.plugin("hides.py", HIDES)
    (finding,) = map(str, findings_in_application(shop.app()))
    assert finding.startswith(
        "GET,HEAD /static/shop/{path:path} of plugin 'shop' is never reached, since what is mounted at /static/shop"
    )


WRONG: dict[str, Callable[[Path], object]] = {
    "is not a folder": lambda static: static.write_text(""),
    "is a link that leads nowhere": lambda static: static.symlink_to("nowhere"),
    "is a link that leads in a circle": lambda static: static.symlink_to("static"),
    "is a link that leads out of the plugin, to /etc": lambda static: static.symlink_to("/etc"),
    "is a link that leads out of the plugin": lambda static: static.symlink_to("../../.."),
    "is a link that leads out of the plugin, to ": lambda static: static.symlink_to("."),
}


def test_a_folder_that_is_wrong_stops_the_start_or_skips_the_plugin(project: Project) -> None:
    project.settings(STATIC=True)
    static = project.plugin("shop/__init__.py").parent / "static"
    project.plugin("hello/__init__.py")
    project.plugin("hello/static/a.txt", "hello")
    for problem, make in WRONG.items():
        static.unlink(missing_ok=True)
        make(static)
        with pytest.raises(RegistrationError) as told:
            project.app()
        assert f"'static' of plugin 'shop' {problem}" in str(told.value)
        assert (told.value.plugin, told.value.where) == ("shop", str(static))
    project.settings(PLUGIN_FAILURE="skip")
    for problem in ("is not a folder", "is a link that leads out of the plugin, to /etc"):
        static.unlink()
        WRONG[problem](static)
        with project.client() as client:
            assert list(get_plugin_manager().roster.skipped) == ["shop"]
            assert client.get("/static/shop/hostname").status_code == 404
            assert client.get("/static/hello/a.txt").text == "hello"


def test_what_may_not_be_read_is_not_served_and_told_once(
    open_project: Project,
) -> None:
    lines: list[str] = []
    sink = log.add(lines.append, format="{message}")
    static = open_project.plugin("shop/static/mine.txt", "mine").parent
    closed = open_project.plugin("shop/static/closed/a.txt", "a").parent
    (static / "mine.txt").chmod(0)
    closed.chmod(0)
    try:
        with no_root():
            folder = Folder("shop", static)
            assert [folder.find(path) for path in ("mine.txt", "mine.txt", "closed/a.txt")] == [None] * 3
            assert problem_of_folder(closed) == NOT_ALLOWED
            assert problem_of_folder(static) is None
    finally:
        closed.chmod(0o700)
        log.remove(sink)
    assert [line.partition(":")[0] for line in lines] == ["a file in static/ of plugin 'shop' is answered 404"]


def test_a_plugin_that_a_filter_leaves_out_serves_nothing(shop: Project) -> None:
    shop.settings(PLUGIN_BLACKLIST_RE=".*/shop")
    with shop.client() as client:
        assert client.get("/static/shop/app.css").status_code == 404
        with pytest.raises(OpaError, match="no plugin of that name is loaded"):
            static_url("shop", "app.css")


def test_a_plugin_that_fails_later_and_is_skipped_serves_nothing(shop: Project) -> None:
    shop.plugin("shop/__init__.py", "def ready():\n    raise ValueError('broken')\n")
    shop.settings(PLUGIN_FAILURE="skip")
    with shop.client() as client:
        assert client.get("/static/shop/app.css").status_code == 404


def test_a_module_has_no_files_and_a_folder_beside_it_is_not_served(project: Project) -> None:
    project.settings(STATIC=True)
    project.plugin("single.py")
    project.plugin("static/app.css", "beside")
    with project.client() as client:
        assert client.get("/static/single/app.css").status_code == 404
        assert client.get("/static/app.css").status_code == 404


def test_the_url_of_what_is_not_there_is_an_error(shop: Project) -> None:
    shop.prepare()
    for plugin, path, told in (
        ("shop", "ap.css", r"static/ of the plugin has no such file, or none that is served \(.*/shop/static\)"),
        ("shop", "/app.css", "has no such file"),
        ("shop", "../__init__.py", "has no such file"),
        ("shop", "js", "has no such file"),
        ("shp", "app.css", "no plugin of that name is loaded and has a folder static/. 'shop' is meant, perhaps"),
        ("unlike", "app.css", "Those that have one: shop"),
    ):
        with pytest.raises(OpaError, match=told):
            static_url(plugin, path)


def test_a_plugin_may_say_where_the_files_are(shop: Project) -> None:
    shop.plugin(
        "cdn.py",
        """
        from opa import Hook

        class Cdn(Hook):
            name = "static.url"
            def run(self, plugin, path):
                return f"https://cdn.example.com/{plugin}/{path}"
        """,
    )
    shop.prepare()
    assert static_url("shop", "anything") == "https://cdn.example.com/shop/anything"


def test_the_plugin_that_serves_files_can_be_left_out(shop: Project) -> None:
    shop.settings(PLUGIN_BLACKLIST_RE=".*/static_files")
    with shop.client() as client:
        assert client.get("/static/shop/app.css").status_code == 404
        with pytest.raises(OpaError, match="static_url needs a plugin that fills the hook 'static.url'"):
            static_url("shop", "app.css")


def test_an_installed_package_and_one_in_an_archive_serve_their_files(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project.settings(STATIC=True)
    files = {
        "{0}/__init__.py": "",
        "{0}/static/css/app.css": "of {0}",
        "{0}/static/.env": "secret",
        "{0}-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: {0}\nVersion: 1.0\n",
        "{0}-1.0.dist-info/entry_points.txt": "[opa.plugins]\n{0} = {0}\n",
    }
    site, archive = tmp_path / "site", tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for name, text in files.items():
            written.writestr(name.format("zipped_shop"), text.format("zipped_shop"))
            file = site / name.format("wheel_shop")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.format("wheel_shop"))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(archive))
    try:
        with project.client() as client:
            for name in ("wheel_shop", "zipped_shop"):
                answer = client.get(static_url(name, "css/app.css"))
                assert (answer.text, answer.headers["cache-control"]) == (f"of {name}", KEPT)
                assert client.get(f"/static/{name}/.env").status_code == 404
    finally:
        for name in ("wheel_shop", "zipped_shop"):
            sys.modules.pop(name, None)


def test_nothing_is_imported_for_plugins_without_files(project: Project) -> None:
    project.plugin("shop/__init__.py")
    project.settings(STATIC=True)
    code = (
        "import sys; from opa.bootstrap import prepare; from opa.http.builder import build_app\n"
        "from opa.settings.load import load_settings\n"
        "build_app(prepare(load_settings(), mode='api'))\n"
        "print([name for name in sys.modules if name.startswith('opa.plugins.static_files.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_name_in_another_case_is_not_found_where_the_file_system_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "app.css").write_text("")
    folder = Folder("shop", tmp_path / "static")
    # As such a file system has it: the file is found by the name that is asked for, and listed by its own.
    monkeypatch.setattr("opa.plugins.static_files.folder.os.listdir", lambda _: ["App.css"])
    assert folder.find("app.css") is None

"""The kind: what looks like a plugin is skipped, or taken for one, by how it lies in the folder, without a word."""

from __future__ import annotations

import json
import os

from tests.cases.place import Place, case


@case("B9", "A plugin that cannot be read, or a link that leads nowhere, is told with its name and why")
def unreadable(place: Place) -> None:
    place.hello()
    (place.plugins / "linked.py").symlink_to("../../shared/linked.py")
    (place.plugins / "shop").symlink_to("shop")
    os.mkfifo(place.plugins / "pipe.py")
    if os.geteuid():
        place.plugin("locked/__init__.py", "")
        (place.plugins / "locked").chmod(0)
    seen = place.run("check")
    assert seen.returncode == 0, seen.stderr
    assert "'linked.py' is not loaded, since it is a link that leads nowhere" in seen.stderr
    assert "'shop' is not loaded, since it is a link that leads in a circle" in seen.stderr
    assert "'pipe.py' is not loaded, since it is not a regular file" in seen.stderr
    if os.geteuid():
        (place.plugins / "locked").chmod(0o700)
        assert "'locked' is not loaded, since it cannot be read: Permission denied" in seen.stderr
        place.plugins.chmod(0)
        seen = place.run("check")
        place.plugins.chmod(0o700)
        assert "PLUGIN_PATHS" in seen.stderr
        assert "Traceback" not in seen.stderr


@case("B10", "A plugin folder or file with a dot in its name is told, with what to do")
def a_dot_in_the_name(place: Place) -> None:
    place.plugin("shop-1.2/__init__.py", "x = 1")
    place.plugin("hello.v2.py", "x = 1")
    seen = place.run("check")
    assert seen.returncode == 0, seen.stderr
    for name in ("shop-1.2", "hello.v2.py"):
        assert f"warning: '{name}' is not loaded, since it has a name with more than letters" in seen.stderr
    rows = {row["name"]: row["status"] for row in json.loads(place.run("plugins", "--json").stdout)}
    assert rows["shop-1.2"] == rows["hello.v2"] == "skipped"


@case("B11", "The copy of a file is no plugin of its own: its schedule stands once, and one warning tells of the copy")
def a_copy(place: Place) -> None:
    text = "from opa import task\n@task(schedule=60)\ndef nightly(): pass"
    place.plugin("report.py", text)
    place.plugin("report copy.py", text)
    seen = place.run("tasks", "list")
    assert seen.stdout.count("every 60 s") == 1, seen.stdout
    checked = place.run("check")
    assert checked.stderr.count("warning: 'report copy.py' is not loaded") == 1, checked.stderr


@case("B12", "conftest.py, setup.py, tests and __main__.py in the folder are not run, and a script says what to do")
def files_that_are_for_others(place: Place) -> None:
    place.hello()
    for name in ("conftest.py", "setup.py", "test_hello.py", "__main__.py", "__main__/__init__.py"):
        place.plugin(name, f"print('{name} RUNS')\nimport nowhere_to_be_found")
    seen = place.run("check")
    assert seen.stdout.startswith("ok"), seen.stdout + seen.stderr
    place.plugin(
        "tool.py",
        """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--file", required=True)
        parser.parse_args()
        """,
    )
    seen = place.run("check")
    assert seen.returncode == 1
    assert "plugin 'tool' does not import: it calls sys.exit(2)" in seen.stderr
    assert "if __name__ == '__main__'" in seen.stderr


@case("P14", "Where no plugin is loaded from a plugin path there is a warning")
def an_empty_mount(place: Place) -> None:
    seen = place.run("check")
    assert f"no plugin is loaded from a plugin path: there is none in '{place.plugins}'" in seen.stderr, seen.stderr
    place.hello()
    assert place.run("check").stderr == ""


@case("P4-unused", "What nothing uses is told: a bare @router.get, a middleware, a route behind a wider one")
def what_nothing_uses(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import BaseMiddleware, get_router
        router = get_router()

        @router.get
        def hello(): ...

        @router.get("/x/{id}")
        def one(id: str): ...

        @router.get("/x/all")
        def every(): ...

        class Gate(BaseMiddleware): ...
        """,
    )
    seen = place.run("check")
    assert seen.returncode == 0
    assert "hello() of plugin 'a' is below a decorator without parentheses" in seen.stderr
    assert "GET /x/all of plugin 'a' is never reached" in seen.stderr
    assert "middleware Gate of plugin 'a' is in no application" in seen.stderr

"""The kind: what goes wrong while a plugin is put together belongs to no plugin, and so cannot be skipped."""

from __future__ import annotations

from tests.cases.place import Place, case


def _is_told_and_can_be_skipped(place: Place, *told: str) -> None:
    seen = place.run("check")
    assert seen.returncode == 1, seen.stdout
    assert "nothing caught" not in seen.stderr
    for text in told:
        assert text in seen.stderr.splitlines()[0], seen.stderr
    place.hello()
    seen = place.run("check", OPA_PLUGIN_FAILURE="skip")
    assert seen.returncode == 0, seen.stderr
    assert ", 1 skipped" in seen.stdout, seen.stdout


@case("B15", "A hook without run is told with what marks a base class, and its plugin can be skipped")
def a_hook_without_run(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import Hook, HookDefinition
        class Fmt(HookDefinition): ...
        class BaseFmt(Hook):
            name = "Fmt"
            def render(self, x): raise NotImplementedError
        class Json(BaseFmt):
            def run(self, x): return self.render(x)
        """,
    )
    _is_told_and_can_be_skipped(place, "hook 'Fmt' of plugin 'a' has no run()", "a.py:4", "leading underscore")


@case("B16", "A class with two names counts once")
def two_names(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import HookDefinition, PluginSettings, Setup
        class Greet(HookDefinition): ...
        GreetDefinition = Greet
        class Seed(Setup): ...
        SeedData = Seed
        class Mine(PluginSettings): ...
        Settings = Mine
        """,
    )
    seen = place.run("plugins", "a")
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.count("setup Seed") == 1, seen.stdout


@case("B17", "A hook that cannot be made is told in one line with its place, and its plugin can be skipped")
def a_hook_that_raises(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import Hook, HookDefinition
        class Greet(HookDefinition): ...
        class G(Hook):
            name = "Greet"
            def __init__(self):
                self.key = open("/etc/my-licence").read()
            def run(self): ...
        """,
    )
    _is_told_and_can_be_skipped(place, "hook G of plugin 'a' cannot be made: FileNotFoundError", "a.py:7")


@case("B17-server", "A plugin that serves while it is imported is interrupted at its limit, and can be skipped")
def a_plugin_that_serves(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        import uvicorn
        from fastapi import FastAPI
        app = FastAPI()
        uvicorn.run(app, port=0)
        """,
    )
    place.environ["OPA_PLUGIN_IMPORT_TIMEOUT"] = "1"
    seen = place.run("check")
    assert seen.returncode == 1, seen.stdout
    assert "plugin 'a' takes longer than 1 s to import" in seen.stderr, seen.stderr
    assert "a.py:5" in seen.stderr, seen.stderr


@case("B15-task", "A task whose option names nothing skips its own plugin alone")
def a_task_with_a_wrong_option(place: Place) -> None:
    place.plugin("a.py", "from celery import shared_task\n@shared_task(rate_limit='100/x')\ndef build(): ...")
    for name in ("LOAD", "OPTS__BROKER_URL"):
        place.environ[f"OPA_OPTIONAL_COMPONENTS__CELERY__{name}"] = (
            "auto" if name == "LOAD" else "redis://nowhere.invalid"
        )
    _is_told_and_can_be_skipped(place, "task 'a.build': rate_limit is", "a.py:")


@case(
    "B17-middleware",
    "Middleware that cannot be made is told in one line with its place, and its plugin can be skipped",
)
def middleware_that_cannot_be_made(place: Place) -> None:
    place.hello()
    place.plugin(
        "a.py",
        """
        from starlette.middleware import Middleware
        class Gate:
            def __init__(self, app):
                self.key = open("/etc/my-licence").read()
            async def __call__(self, scope, receive, send): ...
        middleware = [Middleware(Gate)]
        """,
    )
    assert place.run_to_end(WEB_CONCURRENCY="1") != 0
    told = [line for line in place.log.splitlines() if "middleware 'a.Gate' of plugin 'a' cannot be made" in line]
    assert len(told) == 1, place.log
    assert "a.py:5" in told[0], told
    assert "FileNotFoundError" in told[0], told
    assert place.log.count("starlette") == 0, place.log
    place.start(WEB_CONCURRENCY="1", OPA_PLUGIN_FAILURE="skip")
    place.wait_until_ready()
    assert place.answers("/hello")

"""The kind: what goes wrong while a plugin is put together belongs to no plugin, and so cannot be left out."""

from __future__ import annotations

from tests.cases.place import Place, case


def _is_told_and_can_be_left_out(place: Place, *told: str) -> None:
    seen = place.run("check")
    assert seen.returncode == 1, seen.stdout
    assert "nothing caught" not in seen.stderr
    for text in told:
        assert text in seen.stderr.splitlines()[0], seen.stderr
    place.hello()
    seen = place.run("check", OPA_PLUGIN_FAILURE="skip")
    assert seen.returncode == 0, seen.stderr
    assert ", 1 left out" in seen.stdout, seen.stdout


@case("B15", "A hook without run is told with what marks a base class, and its plugin can be left out")
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
    _is_told_and_can_be_left_out(place, "hook 'Fmt' of plugin 'a' has no run()", "a.py:4", "leading underscore")


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


@case("B17", "A hook that cannot be made is told in one line with its place, and its plugin can be left out")
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
    _is_told_and_can_be_left_out(place, "hook G of plugin 'a' cannot be made: FileNotFoundError", "a.py:7")

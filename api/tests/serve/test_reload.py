"""Development: one process under a supervisor, started by `opa start` with RELOAD."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from opa.core.settings import Config
from opa.serve.reload import polls, watched_folders
from tests.serve.process import Opa, free_port, is_running, wait_until


def start(opa: Opa, **environ: str) -> None:
    opa.start(**{"OPA_RELOAD": "true", "OPA_RELOAD_POLLING": "yes"} | environ)


def wait_for_hello(opa: Opa, word: str) -> None:
    wait_until(lambda: opa.answers("/hello", word), what=f"/hello says {word}\n{opa.log}")


@pytest.mark.parametrize("polling", ["yes", "no"])
def test_a_changed_plugin_is_served(opa: Opa, polling: str) -> None:
    opa.hello("one")
    start(opa, OPA_RELOAD_POLLING=polling)
    wait_for_hello(opa, "one")
    opa.hello("two")
    wait_for_hello(opa, "two")
    opa.hello("three")
    wait_for_hello(opa, "three")
    assert opa.stop() == 0


def test_a_plugin_in_a_folder_that_was_empty_is_served(opa: Opa) -> None:
    start(opa)
    opa.wait_until_ready()
    opa.hello("new")
    wait_for_hello(opa, "new")


def test_a_changed_module_beside_a_plugin_is_served(opa: Opa) -> None:
    opa.plugin("greeting/words.py", "word = 'one'\n")
    opa.plugin(
        "greeting/__init__.py",
        """
        from opa import get_router
        from greeting.words import word

        router = get_router()


        @router.get("/hello")
        async def hello():
            return word
        """,
    )
    start(opa)
    wait_for_hello(opa, "one")
    opa.plugin("greeting/words.py", "word = 'two'\n")
    wait_for_hello(opa, "two")


def test_a_mistake_in_a_plugin_is_shown_and_mended_without_a_restart(opa: Opa) -> None:
    opa.hello("one")
    start(opa)
    wait_for_hello(opa, "one")
    opa.plugin("hello.py", "def broken(:\n")
    wait_until(lambda: re.search(r"^error: .*hello", opa.log, re.MULTILINE), what=opa.log)
    wait_until(lambda: "starts again after the next change" in opa.log)
    opa.hello("two")
    wait_for_hello(opa, "two")
    assert opa.stop() == 0


def test_a_mistake_at_the_first_start_is_mended_without_a_restart(opa: Opa) -> None:
    opa.plugin("hello.py", "def broken(:\n")
    start(opa)
    wait_until(lambda: "starts again after the next change" in opa.log, what=opa.log)
    opa.hello("one")
    wait_for_hello(opa, "one")


def test_changed_settings_apply_and_a_mistake_in_them_is_mended(opa: Opa) -> None:
    settings = opa.folder / "settings" / "mine.yaml"
    opa.hello("one")
    start(opa)
    wait_for_hello(opa, "one")
    more = opa.folder / "more"
    more.mkdir()
    del opa.environ["OPA_PLUGIN_PATHS"]
    settings.write_text("default: [\n")
    wait_until(lambda: "starts again after the next change" in opa.log, what=opa.log)
    settings.write_text("default:\n  HEALTH_URL: /alive\n")
    wait_until(lambda: opa.answers("/alive"), what=opa.log)


def test_a_request_that_hangs_does_not_hold_up_a_reload(opa: Opa) -> None:
    opa.hello("one")
    opa.plugin(
        "hang.py",
        """
        import time

        from opa import get_router, log

        router = get_router()


        @router.get("/hang")
        async def hang():
            log.info("hang begins")
            time.sleep(600)
        """,
    )
    start(opa)
    wait_for_hello(opa, "one")
    caller = threading.Thread(target=lambda: opa.answers("/hang"))
    caller.start()
    wait_until(lambda: "hang begins" in opa.log)
    opa.hello("two")
    wait_for_hello(opa, "two")
    caller.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_leaves_no_process(opa: Opa, number: int) -> None:
    opa.hello()
    start(opa)
    wait_for_hello(opa, "world")
    (child,) = opa.children()
    assert opa.stop(number) == 0
    assert not is_running(child)
    assert "Application shutdown complete" in opa.log


def test_the_serving_process_ends_with_its_supervisor(opa: Opa) -> None:
    opa.hello()
    start(opa)
    wait_for_hello(opa, "world")
    (child,) = opa.children()
    opa.stop(signal.SIGKILL)
    wait_until(lambda: not is_running(child))


def test_a_component_that_does_not_connect_is_one_line_and_the_supervisor_waits(opa: Opa) -> None:
    start(
        opa,
        OPA_COMPONENT_CONNECT_TIMEOUT="1",
        OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD="yes",
        OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL=f"redis://127.0.0.1:{free_port()}",
    )
    wait_until(lambda: "starts again after the next change" in opa.log, what=opa.log)
    assert len(re.findall(r"^error: component 'walrus'", opa.log, re.MULTILINE)) == 1
    assert opa.stop() == 0


def test_more_workers_are_not_started(opa: Opa) -> None:
    start(opa, WEB_CONCURRENCY="3")
    opa.wait_until_ready()
    assert len(opa.children()) == 1
    assert "one process serves while RELOAD is true" in opa.log


def test_nested_folders_are_watched_once(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    paths = [str(inner), str(tmp_path), str(tmp_path), "opa:demo-plugins", "/there/is/none"]
    config = Config({"PLUGIN_PATHS": paths, "SETTINGS_DIR": str(inner)})
    package, *others = watched_folders(config)
    assert package.name == "opa"
    assert others == [tmp_path, Path("/there/is/none")]


def test_the_setting_decides_about_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "podman")
    assert [polls(setting) for setting in ("yes", "no", "auto")] == [True, False, True]

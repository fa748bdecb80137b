"""Development: one process under a supervisor, started by `opa start` with RELOAD."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opa._util.flag import Flag
from opa.loading import plugin_paths
from opa.local.servers import valkey
from opa.local.supervisor import ProgramProcess
from opa.logging.logger import log
from opa.serve.command import MISTAKE
from opa.serve.mode_process import ModeProcess
from opa.serve.reload import MAX_RESTART_DELAY, MIN_RESTART_DELAY, Lives, Repeats, polls, watched_folders
from opa.serve.watch import without_nested
from opa.settings.load import Config
from tests.serve.process import Opa, free_port, is_running, wait_until


def start(opa: Opa, **environ: str) -> None:
    opa.start(**{"OPA_RELOAD": "true", "OPA_RELOAD_POLLING": "yes"} | environ)


def wait_for_hello(opa: Opa, word: str) -> None:
    wait_until(lambda: opa.answers("/hello", word), what=lambda: f"/hello says {word}\n{opa.log}")


@pytest.mark.parametrize("polling", ["yes", "no"])
def test_a_changed_plugin_is_served_again_and_again(opa: Opa, polling: str) -> None:
    opa.hello("one")
    start(opa, OPA_RELOAD_POLLING=polling)
    wait_for_hello(opa, "one")
    opa.hello("two")
    wait_for_hello(opa, "two")
    opa.hello("three")
    wait_for_hello(opa, "three")
    assert opa.stop() == 0


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


def test_a_plugin_in_a_folder_that_was_empty_is_served_and_a_mistake_in_it_is_shown_and_fixed_without_a_restart(
    opa: Opa,
) -> None:
    start(opa)
    opa.wait_until_ready()
    opa.hello("one")
    wait_for_hello(opa, "one")
    opa.plugin("hello.py", "def broken(:\n")
    wait_until(lambda: re.search(r"^error: .*hello", opa.log, re.MULTILINE), what=lambda: opa.log)
    wait_until(lambda: "restarts when a file changes" in opa.log)
    opa.hello("two")
    wait_for_hello(opa, "two")
    assert opa.stop() == 0


def test_a_mistake_at_the_first_start_is_fixed_without_a_restart(opa: Opa) -> None:
    opa.plugin("hello.py", "def broken(:\n")
    start(opa)
    wait_until(lambda: "restarts when a file changes" in opa.log, what=lambda: opa.log)
    opa.hello("one")
    wait_for_hello(opa, "one")


def test_changed_settings_apply_and_a_mistake_in_them_is_fixed(opa: Opa) -> None:
    settings = opa.folder / "settings" / "mine.yaml"
    opa.hello("one")
    start(opa)
    wait_for_hello(opa, "one")
    more = opa.folder / "more"
    more.mkdir()
    del opa.environ["OPA_PLUGIN_PATHS"]
    settings.write_text("default: [\n")
    wait_until(lambda: "restarts when a file changes" in opa.log, what=lambda: opa.log)
    settings.write_text("default:\n  HEALTH_URL: /alive\n")
    wait_until(lambda: opa.answers("/alive"), what=lambda: opa.log)


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_reload_stops_in_order_and_leaves_no_process(opa: Opa, number: int) -> None:
    opa.hello()
    start(opa)
    wait_for_hello(opa, "world")
    wait_until(lambda: len(opa.children()) == 2, what="one is in spare")
    children = opa.children()
    assert opa.stop(number) == 0
    assert not any(map(is_running, children))
    assert "Application shutdown complete" in opa.log


def test_requests_in_flight_finish_when_it_is_told_to_stop(opa: Opa) -> None:
    opa.plugin(
        "slow.py",
        """
        import asyncio
        import time

        from opa import get_router, log

        router = get_router()


        @router.get("/slow")
        async def slow():
            log.info("slow begins")
            await asyncio.sleep(2)
            return "done"


        @router.get("/slow-def")
        def slow_def():
            log.info("slow begins")
            time.sleep(2)
            return "done"
        """,
    )
    start(opa)
    opa.wait_until_ready()
    paths = ["/slow", "/slow-def"]
    with ThreadPoolExecutor(len(paths)) as pool:
        answers = [pool.submit(opa.get, path) for path in paths]
        wait_until(lambda: opa.log.count("slow begins") == len(paths), what="both requests are in flight")
        assert opa.stop() == 0
        assert [answer.result() for answer in answers] == ["done"] * len(paths)


def test_the_serving_process_ends_with_its_supervisor(opa: Opa) -> None:
    opa.hello()
    start(opa)
    wait_for_hello(opa, "world")
    wait_until(lambda: len(opa.children()) == 2, what="one is in spare")
    children = opa.children()
    opa.stop(signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, children)))


def test_a_process_that_was_killed_is_started_again_after_a_pause(opa: Opa) -> None:
    opa.hello("one")
    start(opa)
    wait_for_hello(opa, "one")
    for _ in range(2):
        child = opa.serving()
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not is_running(child), what="it is gone")  # noqa: B023
        wait_for_hello(opa, "one")
        assert opa.serving() != child
    assert "the process has ended with signal SIGKILL; it restarts in 1 s, or when a file changes" in opa.log
    assert "the process has ended with signal SIGKILL; it restarts in 2 s, or when a file changes" in opa.log
    assert opa.log.count("the process has ended") == 2
    assert opa.stop() == 0


def test_a_change_of_a_file_ends_the_pause_and_so_does_a_signal(opa: Opa) -> None:
    ends = "import os\n\nfrom opa import get_router\n\nrouter = get_router()\nos._exit(3)\n"
    opa.plugin("hello.py", ends)
    start(opa)
    wait_until(lambda: "ended with exit status 3; it restarts in 4 s" in opa.log, what=lambda: opa.log)
    opa.hello("one")
    wait_for_hello(opa, "one")
    opa.plugin("hello.py", ends)
    wait_until(lambda: opa.log.count("it restarts in 2 s") == 2, what=lambda: opa.log)
    assert opa.stop() == 0


def test_a_component_that_does_not_connect_is_tried_again_until_it_does(opa: Opa, tmp_path: Path) -> None:
    port = free_port()
    start(
        opa,
        OPA_COMPONENT_CONNECT_TIMEOUT="1",
        OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD="yes",
        OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL=f"redis://127.0.0.1:{port}",
    )
    wait_until(lambda: "ended with exit status 1; it restarts in 2 s" in opa.log, what=lambda: opa.log)
    (tmp_path / "redis").mkdir()
    server = ProgramProcess(valkey(tmp_path / "redis", port).program)
    server.start()
    try:
        opa.wait_until_ready()
        errors = len(re.findall(r"^error: component 'walrus'", opa.log, re.MULTILINE))
        assert errors == opa.log.count("it restarts in")
        assert opa.stop() == 0
    finally:
        server.stop()


def test_a_process_that_is_told_to_end_while_python_starts_shows_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    process = ModeProcess()
    process.start()
    try:
        wait_until(begun.exists)
        os.kill(process.pid, signal.SIGINT)
        assert process.status() == -signal.SIGINT
    finally:
        process.kill()
    assert "Traceback" not in capfd.readouterr().err
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class FakeProcess(ModeProcess):
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        self.ended: int | None = None
        self.starts = self.shown = 0

    def start(self) -> None:
        self.ended = None
        self.starts += 1

    def end(self) -> int | None:
        return self.ended

    def show_mistakes(self) -> None:
        self.shown += 1

    def look_after_page(self) -> None:
        """There is none."""

    def prepare_next(self) -> None:
        """It is the only one."""


def test_pauses_grow_to_a_minute_and_start_over_after_a_long_life() -> None:
    now = 0.0
    child = FakeProcess()
    lives = Lives(child, Flag(), lambda: now)
    pauses = []
    for _ in range(9):
        child.ended = 1
        lives.go_on()
        began, starts = now, child.starts
        while child.starts == starts:
            now += 0.5
            lives.go_on()
        pauses.append(now - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    now += MAX_RESTART_DELAY
    child.ended = -9
    lives.go_on()
    now += MIN_RESTART_DELAY
    lives.go_on()
    assert child.starts == 10


def test_the_end_of_a_process_and_the_end_of_a_pause_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now, runs = 0.0, True
    child = FakeProcess()
    monkeypatch.setattr(FakeProcess, "runs", property(lambda _: runs), raising=False)
    lives = Lives(child, Flag(), lambda: now)
    assert not lives.is_time()
    runs, child.ended = False, 1
    assert lives.is_time()
    lives.go_on()
    assert not lives.is_time()
    now += MIN_RESTART_DELAY
    assert lives.is_time()
    lives.go_on()
    child.ended = MISTAKE
    lives.go_on()
    assert not lives.is_time()


def test_a_mistake_is_not_repeated_however_long_it_takes() -> None:
    now = 0.0
    child = FakeProcess()
    lives = Lives(child, Flag(), lambda: now)
    child.ended = MISTAKE
    for _ in range(1000):
        now += 60
        lives.go_on()
    assert (child.starts, child.shown) == (0, 1)


def test_after_a_mistake_it_starts_again_when_packages_were_installed_and_nothing_changes_any_more() -> None:
    child, packages = FakeProcess(), 1
    lives = Lives(child, Flag(), lambda: 0.0, lambda: packages)
    child.ended = MISTAKE
    lives.go_on()
    lives.go_on()
    assert child.starts == 0

    packages = 2
    lives.go_on()
    packages = 3
    lives.go_on()
    assert child.starts == 0
    lives.go_on()
    lives.go_on()

    assert child.starts == 1


def test_packages_that_were_installed_while_it_failed_start_it_again_once() -> None:
    child, packages = FakeProcess(), 1
    lives = Lives(child, Flag(), lambda: 0.0, lambda: packages)
    packages = 2
    for _ in range(2):
        child.ended = MISTAKE
        for _ in range(5):
            lives.go_on()

        assert child.starts == 1


def test_nothing_is_started_once_it_was_told_to_stop() -> None:
    now = 0.0
    child, stop = FakeProcess(), Flag()
    lives = Lives(child, stop, lambda: now)
    child.ended = 1
    lives.go_on()
    stop.set()
    now += 1000
    lives.go_on()
    assert child.starts == 0


@pytest.mark.parametrize("pause", [0, 0.0005, 0.002])
def test_signals_that_come_close_together_stop_it(opa: Opa, pause: float) -> None:
    start(opa)
    assert opa.process is not None
    # Also while the files are looked at, and while the process starts.
    wait_until(lambda: "watching" in opa.log, what=lambda: opa.log)
    children = opa.children()
    for _ in range(3):
        opa.process.send_signal(signal.SIGTERM)
        time.sleep(pause)
    # The last one may come when everything is stopped, and the handlers are those from before.
    assert opa.process.wait(60) in (0, -signal.SIGTERM)
    assert not any(map(is_running, children))


def test_more_workers_are_not_started(opa: Opa) -> None:
    start(opa, WEB_CONCURRENCY="3")
    opa.wait_until_ready()
    assert opa.serving() in opa.children()
    assert "one process serves while RELOAD is true" in opa.log


def test_nested_folders_are_watched_once(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    paths = [str(inner), str(tmp_path), str(tmp_path), "opa:demo-plugins", "/there/is/none"]
    config = Config({"PLUGIN_PATHS": paths, "SETTINGS_DIR": str(inner)})
    package, *others = without_nested(each.folder for each in watched_folders(config))
    assert package.name == "opa"
    assert others == [tmp_path, Path("/there/is/none")]


def test_the_folder_plugins_is_watched_in_place_of_a_default_path_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugin_paths, "DEFAULT_PLUGIN_PATH", "/nowhere/plugins")
    config = Config({"PLUGIN_PATHS": ["/nowhere/plugins"], "SETTINGS_DIR": "settings"})

    folders = [each.folder for each in watched_folders(config)]

    assert tmp_path / "plugins" in folders
    assert Path("/nowhere/plugins") not in folders


def test_a_file_that_changes_soon_after_each_start_is_said_once() -> None:
    now = 0.0
    repeats = Repeats(clock=lambda: now)
    said = []
    log_id = log.add(lambda line: said.append(str(line)), level="WARNING")
    for files, seconds in (("b", 1), ("a", 1), ("a", 60), ("a", 1), ("a", 1), ("a", 1), ("a", 1)):
        repeats.started()
        now += seconds
        repeats.note([files])
    log.remove(log_id)

    assert len(said) == 1
    assert "a changed within 10 s of each of the last 3 starts" in said[0]


def test_the_setting_decides_about_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "podman")
    assert [polls(setting) for setting in ("yes", "no", "auto")] == [True, False, True]

"""Reload in development: a supervisor that starts one process again whenever a file changes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.exit_status import how_it_ended
from opa._util.flag import Flag
from opa._util.sources import PACKAGE_FOLDER, from_here
from opa.errors import PluginPathError, SettingsError
from opa.loading.discover import BUILT_IN_FOLDER, plugin_folders
from opa.loading.plugin_paths import plugin_paths_to_watch
from opa.logging.logger import log
from opa.process import orphans
from opa.process.container import is_in_container
from opa.process.told import wait_for_start
from opa.serve.command import MISTAKE
from opa.serve.installation import is_provided
from opa.serve.mode_process import MistakePage, ModeProcess
from opa.serve.packages import installed_packages
from opa.serve.watch import fingerprint, take_snapshot, wait_for_change, without_nested
from opa.serve.watched import Watched, in_package, in_plugin_path, in_settings
from opa.settings import load as settings
from opa.settings.inherited import STATE_VARIABLE, process_of_up

if TYPE_CHECKING:
    from opa.settings.load import Config

NAMED_FILES = 3
RESTART_LOOP_WINDOW = 10.0
RESTART_LOOP_COUNT = 3
# Seconds until a process that has ended by itself starts again; twice as long each time. When it has lived as long as
# the longest, as at first.
MIN_RESTART_DELAY = 1.0
MAX_RESTART_DELAY = 60.0


def supervise(config: Config, *, reload_limit: float, stop_limit: float, has_page: bool = False) -> None:
    """Run the process of the mode, and again after each change, until SIGTERM, SIGINT or SIGHUP.

    A process that ends over a mistake in settings or plugins is started again after the next change. One that ends
    otherwise, also where it could not connect or was killed, is started again after a pause.

    Args:
        config: reads `PLUGIN_PATHS` and `RELOAD_POLLING`.
        reload_limit: seconds that the process has to end before it is started again.
        stop_limit: seconds that it has to end when this one is told to stop.
        has_page: whether a page stands in its place, on `HOST` and `PORT`, while it does not start.
    """
    stop = Flag()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    handlers = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    orphans.adopt_orphans()
    child = ModeProcess(MistakePage() if has_page else None)
    try:
        _reload_until(stop, config, child, reload_limit)
    finally:
        child.stop(stop_limit)
        child.forget()
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _reload_until(stop: Flag, config: Config, child: ModeProcess, reload_limit: float) -> None:
    told, repeats = "", Repeats()
    while not stop.is_set():
        polling, watched = polls(config.RELOAD_POLLING), watched_folders(config)
        if (now := _words_for(watched, polling)) != told:
            log.log(_level(), now)
            told = now
        # Before the process starts, so that a change while it does is seen.
        snapshot = take_snapshot(watched)
        os.environ[STATE_VARIABLE] = fingerprint(snapshot)
        # The one from before goes on meanwhile.
        provided = is_provided(config, child.mistakes, stop, lambda: take_snapshot(watched) != snapshot)  # noqa: B023
        if provided is None:
            config = _read_again(config)
            continue
        if child.pid:
            child.end_for_reload(reload_limit, config)
            wait_for_start(Path.cwd(), stop.wait)
            if stop.is_set():
                return
        child.config = config
        lives = Lives(child, stop)
        if provided:
            child.start()
        else:
            lives.wait_for_change()
        repeats.started()
        changed = wait_for_change(
            watched, snapshot, polling=polling, stop=stop, meanwhile=lives.go_on, is_time=lives.is_time
        )
        if changed:
            log.log(_level(), f"reload: {_named(changed)} changed")
            repeats.note(changed)
            config = _read_again(config)


def _level() -> str:
    """Of what the worker and the beat of an `opa up` see as the api does, which tells it."""
    return "INFO" if process_of_up() in ("", "api") else "TRACE"


def _words_for(watched: Iterable[Watched], polling: bool) -> str:
    folders = ", ".join(_short(str(folder)) for folder in without_nested(each.folder for each in watched))
    return f"watching {folders} {'by polling' if polling else 'by notifications'}"


class Repeats:
    """Finds out that the process itself writes what it is started again for.

    Args:
        clock: seconds, as `time.monotonic`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._files: list[str] = []
        self._times = 0

    def started(self) -> None:
        """The process was started."""
        self._began = self._clock()

    def note(self, files: list[str]) -> None:
        """These have changed; a warning says where they do soon after each start."""
        is_soon = self._clock() - self._began < RESTART_LOOP_WINDOW
        self._times = self._times + 1 if is_soon and files == self._files else int(is_soon)
        self._files = files
        if self._times == RESTART_LOOP_COUNT:
            log.warning(
                f"{_named(files)} changed within {RESTART_LOOP_WINDOW:g} s of each of the last"
                f" {RESTART_LOOP_COUNT} starts: where a plugin writes that itself, let it write to a folder outside of"
                " PLUGIN_PATHS and of the settings"
            )


class Lives:
    """What becomes of the process between two changes of files: where it ends by itself, it gets another life.

    Args:
        child: the process, which is started next.
        stop: when it is set, nothing is started any more.
        clock: seconds, as `time.monotonic`.
        installed: gives something that changes when a package is installed.
    """

    def __init__(
        self,
        child: ModeProcess,
        stop: Flag,
        clock: Callable[[], float] = time.monotonic,
        installed: Callable[[], object] = installed_packages,
    ) -> None:
        self._child = child
        self._stop = stop
        self._clock = clock
        self._began = clock()
        self._pause = MIN_RESTART_DELAY
        self._next: float | None = None
        self._needs_change = False
        self._installed = installed
        # As they were before it started: what is installed from then on it need not have seen.
        self._packages = self._packages_before = installed()

    def go_on(self) -> None:
        """Look at the process, and start it where it is time to; to be called every now and then."""
        if self._stop.is_set():
            return
        if self._needs_change:
            self._child.look_after_page()
            self._look_for_packages()
        elif self._next is None:
            if (status := self._child.end()) is None:
                self._child.prepare_next()
            elif not self._stop.is_set():
                self._note_end(status)
        elif self._clock() >= self._next:
            self._next = None
            self._start()

    def is_time(self) -> bool:
        """Whether there is something for `go_on` to do, for which clients may wait."""
        if self._needs_change:
            return False
        return not self._child.runs if self._next is None else self._clock() >= self._next

    def wait_for_change(self) -> None:
        """Show the mistake because of which it does not start: it would end in the same way again."""
        self._needs_change = True
        self._child.show_mistakes()

    def _look_for_packages(self) -> None:
        """Start it where packages were installed, and nothing has changed there since the last look."""
        packages = self._installed()
        if packages == self._packages:
            return
        if packages != self._packages_before:
            self._packages_before = packages
            return
        log.info("packages were installed: restarting")
        self._needs_change = False
        self._start()

    def _start(self) -> None:
        self._packages = self._packages_before = self._installed()
        self._began = self._clock()
        self._child.start()

    def _note_end(self, status: int) -> None:
        if status == MISTAKE:
            self.wait_for_change()
            # Under `opa up` the mistake is the last line that is told.
            level = "TRACE" if process_of_up() else "ERROR"
            log.log(level, "the process has ended; it restarts when a file changes")
            return
        if self._clock() - self._began >= MAX_RESTART_DELAY:
            self._pause = MIN_RESTART_DELAY
        again = f"it restarts in {self._pause:g} s, or when a file changes"
        log.error(f"the process has ended with {how_it_ended(status)}; {again}")
        self._next = self._clock() + self._pause
        self._pause = min(2 * self._pause, MAX_RESTART_DELAY)


def watched_folders(config: Config) -> list[Watched]:
    """The package, the settings folder and the plugin paths, also those that do not exist yet."""
    watched = [Watched(PACKAGE_FOLDER, in_package), Watched(Path(config.SETTINGS_DIR).absolute(), in_settings)]
    for path in plugin_paths_to_watch(config):
        try:
            folders = plugin_folders([path])
        except PluginPathError:
            folders = (Path(path).expanduser().absolute(),)
        watched += [Watched(folder, in_plugin_path) for folder in folders if folder != BUILT_IN_FOLDER]
    return list(dict.fromkeys(watched))


def polls(setting: str) -> bool:
    """Whether to look at the files at short intervals: `yes`, `no`, or `auto`, which is yes in a container.

    A folder that Docker on macOS or Windows mounts lies on another machine's disk: its changes cause no
    notifications.
    """
    if setting in ("yes", "no"):
        return setting == "yes"
    return is_in_container(os.environ)


def _read_again(config: Config) -> Config:
    """The settings, which may be what changed; the ones from before where the child will report a mistake."""
    try:
        return settings.load_settings()
    except SettingsError:
        return config


def _named(paths: list[str]) -> str:
    names = ", ".join(map(_short, paths[:NAMED_FILES]))
    more = len(paths) - NAMED_FILES
    return f"{names} and {more} more" if more > 0 else names


def _short(path: str) -> str:
    """A path as anyone who looks at an `opa up` knows it: from the project's folder on."""
    return from_here(path) if process_of_up() else path

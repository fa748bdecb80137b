"""The process of the mode that the supervisor of a reload starts, and the page in its place while it does not start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from opa.logging.logger import log
from opa.process import orphans
from opa.process.child import Child
from opa.serve.command import MISTAKE, command
from opa.serve.handed import Handed
from opa.serve.kept_socket import KeptSocket
from opa.serve.spare import Spare
from opa.settings.inherited import STATE_VARIABLE

if TYPE_CHECKING:
    from opa.settings.load import Config

ORPHANS_GRACE = 1.0
"""Seconds that what it leaves behind has to end."""
PAGE_GRACE = 1.0
"""Seconds that the page has for the answers which it has begun."""


class MistakePage(Child):
    """The process with the page in the place of one that does not start.

    Attributes:
        file: into which that one writes why.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory(prefix="opa-")
        self.file = Path(self._folder.name) / "mistakes.json"

    def show(self, config: Config, handed: Handed | None = None) -> None:
        """Serve it, on `HOST` and `PORT`.

        Args:
            config: the settings.
            handed: the socket; it opens one by itself where there is none.
        """
        place = (config.HOST, config.PORT, "" if handed is None else handed.descriptor)
        page = [sys.executable, "-P", "-m", "opa.serve.mistake_page", os.getpid(), self.file, *place]
        with _without_sigint():  # its supervisor ends it
            self.spawn([str(each) for each in (*page, *config.ALLOW_ORIGINS)], pass_fds=_descriptors(handed))

    def close(self) -> None:
        """End it, when it has answered those who have asked."""
        if not self.ends_within(PAGE_GRACE):
            self.kill()

    def forget(self) -> None:
        """Remove the file."""
        self._folder.cleanup()


class ModeProcess(Child):
    """The process of the mode.

    Args:
        page: stands in its place while it does not start; None for no page.

    Attributes:
        config: says where the page is.
    """

    def __init__(self, page: MistakePage | None = None) -> None:
        super().__init__()
        self.config: Config | None = None
        self._page = page
        self._spare = None if page is None else Spare(page.file)
        self._socket = None if page is None else KeptSocket()

    @property
    def mistakes(self) -> Path | None:
        """The file into which is written why it does not start; none without a page."""
        return None if self._page is None else self._page.file

    def start(self) -> None:
        """Start it. It gets SIGINT when it has said what that does: while it starts, Python would show a traceback."""
        if self._page is not None:
            self._page.close()
        handed = self._handed()
        if self._spare is not None and self._spare.go([STATE_VARIABLE], handed):
            self.become(self._spare)
        else:
            with _without_sigint():
                self.spawn(self._command(handed), pass_fds=_descriptors(handed))
        if self._spare is not None:
            self._spare.not_yet()

    def _handed(self) -> Handed | None:
        return None if self._socket is None or self.config is None else self._socket.keep(self.config)

    def _command(self, handed: Handed | None) -> list[str]:
        if self._page is None or self._spare is None:
            return command(os.getpid())
        return command(os.getpid(), self._page.file, self._spare.imports, handed)

    def prepare_next(self) -> None:
        """Have a process in spare, where it is time for that; to be called every now and then."""
        if self._spare is not None:
            with _without_sigint():
                self._spare.prepare()

    def show_mistakes(self) -> None:
        """Show why it does not start, where there is a page for that."""
        if self._page is not None and self.config is not None:
            self._page.show(self.config, self._handed())

    def look_after_page(self) -> None:
        """Let nobody wait for an answer of a page that has ended by itself; to be called every now and then."""
        if self._page is not None and self._socket is not None and not self._page.runs:
            self._socket.close()

    def stop(self, limit: float) -> None:
        """Stop it, and what it leaves behind; after `limit` seconds with SIGKILL."""
        if self._socket is not None:
            self._socket.refuse()  # before it is told: by this it knows that it has no successor
        if self._spare is not None:
            self._spare.kill()
        self._end(limit)
        if self._socket is not None:
            self._socket.close()

    def end_for_reload(self, limit: float, config: Config) -> None:
        """Stop it as `stop` does, and keep the one in spare, and the socket.

        Args:
            limit: seconds until SIGKILL.
            config: says where the next one listens.
        """
        if self._socket is not None and not self._socket.is_for(config):
            self._socket.refuse()
        self._end(limit)

    def _end(self, limit: float) -> None:
        if self._page is not None:
            self._page.close()
        if not self.ends_within(limit):
            log.warning(f"process {self.pid} did not stop within {limit:g} s and is killed")
            self.kill()
        self._end_orphans()

    def forget(self) -> None:
        """Remove the files of the page."""
        if self._page is not None:
            self._page.forget()

    def end(self) -> int | None:
        """How it has ended by itself: its exit status, or minus the number of a signal. None while it runs.

        Ends what it has left behind. Nobody waits for the next one any more, unless a page is to stand in its place.
        """
        if self.runs:
            orphans.reap_others(self.pid)
            return None
        if self._socket is not None and self.status() != MISTAKE:
            self._socket.close()
        self._end_orphans()
        return self.status()

    def _end_orphans(self) -> None:
        orphans.end_orphans(grace=ORPHANS_GRACE, but=0 if self._spare is None else self._spare.pid)


def _descriptors(handed: Handed | None) -> tuple[int, ...]:
    return () if handed is None else (handed.descriptor,)


@contextmanager
def _without_sigint() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""In development, a process of its own installs what plugins need, while the code from before goes on serving."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from opa._util.flag import Flag
from opa.errors import OpaError
from opa.process.child import Child
from opa.serve.command import MISTAKE

if TYPE_CHECKING:
    from opa.settings.load import Config

POLL_SECONDS = 0.2


class Installation(Child):
    """The process that installs."""

    def run(self, mistakes: Path | None, stop: Flag, has_changed: Callable[[], bool]) -> bool | None:
        """Run it until it has ended, `stop` is set, or files have changed meanwhile, and it would do something else.

        Args:
            mistakes: the file into which it writes why nothing was installed.
            stop: ends it.
            has_changed: whether files have changed.

        Returns:
            Whether the plugins can be imported now; None where that is to be asked again.
        """
        own = [str(each) for each in (os.getpid(), mistakes) if each is not None]
        self.spawn([sys.executable, "-P", "-m", "opa.serve.installation", *own], start_new_session=True)
        try:
            while self.runs:
                if stop.wait(POLL_SECONDS) or has_changed():
                    return None
            return self.status() == 0
        finally:
            if self.runs:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self.status()


def is_provided(
    config: Config, mistakes: Path | None, stop: Flag, has_changed: Callable[[], bool] = lambda: False
) -> bool | None:
    """Have what the plugins need installed, if the settings say so, and if anything is missing; see `Installation`."""
    if not config.INSTALL_PACKAGES:
        return True
    from opa.packages.provide import is_lacking

    return Installation().run(mistakes, stop, has_changed) if is_lacking(config) else True


def main() -> None:
    """Install; what goes wrong is told as by a process that does not start because of a mistake."""
    from opa.logging.logger import setup_logging
    from opa.packages.provide import provide
    from opa.process.error_report import print_start_error
    from opa.process.orphans import end_with_parent
    from opa.settings import load as settings

    end_with_parent(int(sys.argv[1]))
    try:
        config = settings.load_settings()
        setup_logging(config)
        provide(config)
    except OpaError as error:
        print_start_error(error)
        if sys.argv[2:]:
            from opa.serve.mistake import write_mistakes

            write_mistakes(Path(sys.argv[2]), error)
        sys.exit(MISTAKE)


if __name__ == "__main__":
    main()

"""What a mode is in development: one process, `python -m opa.serve`.

Its own interpreter, so that a reload begins with nothing imported, and so that the debugger gets the flag it
needs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opa.errors import (
    ComponentConnectError,
    ComponentUnavailableError,
    LifecycleError,
    OpaError,
    SetupError,
    StartError,
)
from opa.serve.command import MISTAKE
from opa.serve.handed import Handed

# Raised from the step `connect` on: what is asked there may answer in a moment, such as a server that starts.
PASSING = (StartError, ComponentConnectError, ComponentUnavailableError, LifecycleError, SetupError)


def main() -> None:
    """Load the settings and run the mode; a mistake that a user can fix is one line, and status 1 or `MISTAKE`."""
    from opa.process.error_report import print_start_error
    from opa.process.told import tell_start

    handed = Handed.from_argument(sys.argv[4]) if sys.argv[4:] else None
    if sys.argv[1:]:
        from opa.process.orphans import end_with_parent

        end_with_parent(int(sys.argv[1]))
    try:
        from opa.checks.deploy.start import refuse_open_doors
        from opa.logging.logger import setup_logging
        from opa.logging.stderr import write_to_this_stderr
        from opa.serve.mode import DEFAULT_MODE, MODES, chosen_mode
        from opa.settings import load as settings

        write_to_this_stderr()
        config = settings.load_settings()
        setup_logging(config)
        mode = chosen_mode(os.environ)
        refuse_open_doors(config, os.environ, mode)
        if mode == DEFAULT_MODE:
            from opa.serve import api

            api.serve_alone(config, when_serving=_tell, handed=handed)
        else:
            MODES[mode]().serve_alone(config)
    except OpaError as error:
        tell_start(Path.cwd())
        print_start_error(error)
        is_mistake = sys.argv[1:] and not isinstance(error, PASSING)
        if is_mistake and sys.argv[2:]:
            from opa.serve.mistake import write_mistakes

            write_mistakes(Path(sys.argv[2]), error)
        sys.exit(MISTAKE if is_mistake else 1)


def _tell() -> None:
    """The api serves: those that waited for it go on, and the next one may have imported the same."""
    from opa.process.told import tell_start

    tell_start(Path.cwd())
    if sys.argv[3:]:
        from opa.serve.spare import note_imports

        note_imports(Path(sys.argv[3]))

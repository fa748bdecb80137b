from __future__ import annotations

import json
import subprocess
import sys
import textwrap

from tests import programs


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new process."""
    return programs.run([sys.executable, "-c", textwrap.dedent(code)])


def test_an_uncaught_exception_is_a_line_of_the_log() -> None:
    done = run(
        """
        import threading
        from types import SimpleNamespace
        from opa.logging.logger import setup_logging

        setup_logging(SimpleNamespace(
            LOGLEVEL="info", LOG_FORMAT="json", BETTER_EXCEPTIONS=False, BETTER_EXCEPTIONS_MAX_LENGTH=100
        ))
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
        raise KeyError("end")
        """
    )
    assert done.returncode == 1
    in_thread, at_end = (json.loads(line) for line in done.stderr.splitlines())
    assert (in_thread["level"], in_thread["exception"]["type"]) == ("ERROR", "ZeroDivisionError")
    assert "worker" in in_thread["message"]
    assert (at_end["level"], at_end["exception"]["type"]) == ("CRITICAL", "KeyError")


def test_ctrl_c_is_no_line_of_the_log() -> None:
    done = run(
        """
        from opa import log
        from opa.logging.uncaught import report_what_nothing_caught

        report_what_nothing_caught(log)
        raise KeyboardInterrupt
        """
    )
    assert "KeyboardInterrupt" in done.stderr
    assert "timestamp" not in done.stderr

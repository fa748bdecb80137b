"""The log as settings set it up, and what it writes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from opa.logging.logger import setup_logging
from tests import programs

Lines = Callable[[], list[dict[str, Any]]]


def settings(level: str | int = "trace", form: str = "json") -> Any:
    return SimpleNamespace(LOGLEVEL=level, LOG_FORMAT=form, BETTER_EXCEPTIONS=False, BETTER_EXCEPTIONS_MAX_LENGTH=100)


def run(code: str, *, fresh: bool = False, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new process."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPA_") and name != "ENV"}
    return programs.run([sys.executable, "-c", textwrap.dedent(code)], env=clean | environ, fresh=fresh)


def here() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


@pytest.fixture
def undone() -> Iterator[None]:
    """The log and the standard library's logging as before."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.captureWarnings(False)
    setup_logging(settings("info", "text"))
    root.setLevel(before[0])
    root.handlers[:] = before[1]


@pytest.fixture
def lines(undone: None, capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was logged since the last call, from trace on, a dict for each line."""
    setup_logging(settings())
    capsys.readouterr()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]

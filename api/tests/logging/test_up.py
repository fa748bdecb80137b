from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opa.logging import up as log_up
from opa.logging.logger import log, setup_logging
from opa.settings.inherited import PROCESS_VARIABLE


def settings(level: str) -> Any:
    return SimpleNamespace(
        LOGLEVEL=level, LOG_FORMAT="text", BETTER_EXCEPTIONS=False, BETTER_EXCEPTIONS_MAX_LENGTH=None
    )


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The log of a worker of `opa up`."""
    monkeypatch.setenv(PROCESS_VARIABLE, "worker")
    monkeypatch.setenv("NO_COLOR", "1")
    setup_logging(settings("debug"))
    yield monkeypatch
    monkeypatch.undo()
    setup_logging(settings("info"))


def test_a_line_has_the_time_the_process_and_the_message(up: object, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("a word", shop=1)
    log.bind(shop=1).info("a word")
    log.warning("a word")

    lines = capsys.readouterr().err.splitlines()

    place = rf"{re.escape(Path(__file__).name)}:\d+"
    assert re.fullmatch(rf"\d\d:\d\d:\d\d worker a word shop=1 {place}", lines[1])
    assert re.fullmatch(rf"\d\d:\d\d:\d\d worker WARNING a word {place}", lines[2])


def test_the_process_has_a_color_of_its_own(up: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    up.delenv("NO_COLOR")
    up.setenv("FORCE_COLOR", "1")
    setup_logging(settings("debug"))
    log.info("a word")

    assert "\x1b[35mworker\x1b[0m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "level", "is_shown"),
    [
        ("uvicorn.error", logging.INFO, False),
        ("uvicorn.error", logging.ERROR, True),
        ("celery.worker.consumer.mingle", logging.INFO, False),
        ("celery.app.trace", logging.INFO, True),
        ("opa.core.components", logging.DEBUG, False),
        ("opa.tasks.beat.service", logging.INFO, True),
        ("uvicorn.access", logging.INFO, True),
    ],
)
def test_the_inner_life_of_servers_is_not_shown(name: str, level: int, is_shown: bool) -> None:
    record: Any = {
        "name": name,
        "level": SimpleNamespace(no=level),
        "message": "",
        "file": SimpleNamespace(path="/x/site-packages/y.py"),
    }

    assert log_up.is_shown(record, process="api") is is_shown


def test_opa_up_shows_lines_of_the_users_own_code_at_every_level(
    up: object, capsys: pytest.CaptureFixture[str]
) -> None:
    log.debug("a word")

    assert "worker a word" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "is_of_user"),
    [
        (log_up.__file__, False),
        (logging.__file__, False),
        ("/venv/lib/python3.13/site-packages/celery/app/trace.py", False),
        (log_up.__file__.replace("/opa/logging/", "/opa-shop/logging/"), True),
        ("/home/me/lib/python/shop.py", True),
    ],
)
def test_the_users_own_code_may_lie_anywhere(path: str, is_of_user: bool) -> None:
    record: Any = {"file": SimpleNamespace(path=path)}
    assert log_up.is_of_user(record) is is_of_user


def test_trace_shows_everything(up: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(settings("trace"))
    logging.getLogger("uvicorn.error").info("Started server process")

    assert "Started server process" in capsys.readouterr().err

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from opa.logging.gunicorn import LogLogger
from opa.logging.logger import setup_logging

NAMES = ("gunicorn.error", "gunicorn.access")


@pytest.fixture
def logger(capsys: pytest.CaptureFixture[str]) -> Iterator[LogLogger]:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    config: Any = SimpleNamespace(
        LOGLEVEL="info", LOG_FORMAT="json", BETTER_EXCEPTIONS=False, BETTER_EXCEPTIONS_MAX_LENGTH=100
    )
    setup_logging(config)
    capsys.readouterr()
    gunicorn = Config()
    gunicorn.set("accesslog", "-")
    gunicorn.set("loglevel", "error")
    yield LogLogger(gunicorn)
    for name in NAMES:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    logging.captureWarnings(False)


def test_lines_of_gunicorn_are_in_the_log_once_and_nowhere_else(
    logger: LogLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.info("Listening at: %s", "http://127.0.0.1")
    logger.access_log.info("GET /")
    written = capsys.readouterr()
    assert written.out == ""
    lines = [json.loads(line) for line in written.err.splitlines()]
    assert [(line["logger"], line["message"]) for line in lines] == [
        ("gunicorn.error", "Listening at: http://127.0.0.1"),
        ("gunicorn.access", "GET /"),
    ]


def test_the_level_is_the_one_of_the_settings_and_not_gunicorns(
    logger: LogLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger.debug("no")
    logger.info("yes")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["yes"]

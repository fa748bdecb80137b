from __future__ import annotations

import json
import logging
import logging.config
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from loguru import logger

from opa.logging.logger import keep_logging, log, setup_logging

SETTINGS: Any = SimpleNamespace(
    LOGLEVEL="info", LOG_FORMAT="json", BETTER_EXCEPTIONS=False, BETTER_EXCEPTIONS_MAX_LENGTH=100
)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What stands on the terminal since the last call; all of it is the log's."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    setup_logging(SETTINGS)
    logging.getLogger("kept.before")
    capsys.readouterr()

    def read() -> list[dict[str, Any]]:
        out, err = capsys.readouterr()
        assert not out
        return [json.loads(line) for line in err.splitlines()]

    yield read
    logging.disable(logging.NOTSET)
    logging.getLogger("kept.before").propagate = True
    logging.captureWarnings(False)
    root.setLevel(before[0])
    root.handlers[:] = before[1]


DICT: dict[str, Any] = {
    "version": 1,
    "formatters": {"plain": {"format": "PLAIN %(message)s"}},
    "handlers": {
        "err": {"class": "logging.StreamHandler", "formatter": "plain"},
        "out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "plain"},
    },
    "root": {"handlers": ["err"], "level": "WARNING"},
    "loggers": {"kept.named": {"handlers": ["out"], "level": "INFO", "propagate": False}},
}


def by_dict_config(_: Path) -> None:
    logging.config.dictConfig(DICT)


def by_file_config(folder: Path) -> None:
    (folder / "alembic.ini").write_text(
        textwrap.dedent("""
            [loggers]
            keys = root, alembic
            [handlers]
            keys = console
            [formatters]
            keys = generic
            [logger_root]
            level = WARN
            handlers = console
            [logger_alembic]
            level = INFO
            handlers =
            qualname = alembic
            [handler_console]
            class = StreamHandler
            args = (sys.stderr,)
            formatter = generic
            [formatter_generic]
            format = PLAIN %(message)s
        """)
    )
    logging.config.fileConfig(folder / "alembic.ini")


def by_basic_config(_: Path) -> None:
    logging.basicConfig(force=True, level=logging.CRITICAL, format="PLAIN %(message)s")


def by_clearing(_: Path) -> None:
    logging.getLogger().handlers.clear()


def by_leaving_it_without_a_handler(_: Path) -> None:
    logging.getLogger("kept.before").propagate = False


def by_assigning(_: Path) -> None:
    logging.getLogger().handlers = [logging.StreamHandler()]


def by_removing(_: Path) -> None:
    for handler in list(logging.getLogger().handlers):
        logging.getLogger().removeHandler(handler)


def by_removing_the_first(_: Path) -> None:
    while logging.getLogger().handlers:
        logging.getLogger().removeHandler(logging.getLogger().handlers[0])


def by_disabling(_: Path) -> None:
    logging.disable(logging.CRITICAL)


def by_level(_: Path) -> None:
    logging.getLogger().setLevel(logging.CRITICAL + 10)


def by_shutdown(_: Path) -> None:
    logging.shutdown()


class InterceptHandler(logging.Handler):
    """As loguru's pages have it."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())


def by_intercepting(_: Path) -> None:
    logging.basicConfig(handlers=[InterceptHandler()], level=0, force=True)


def by_removing_sinks(_: Path) -> None:
    logger.remove()


def by_removing_the_default_sink(_: Path) -> None:
    logger.remove(0)


def by_another_sink_on_the_terminal(_: Path) -> None:
    logger.remove()
    number = logger.add(sys.stderr, format="PLAIN {message}")
    logger.remove(number)
    logger.add(sys.stdout, format="PLAIN {message}")


def by_configuring_loguru(_: Path) -> None:
    logger.configure(handlers=[{"sink": sys.stderr, "format": "PLAIN {message}"}], patcher=lambda _record: None)


def by_disabling_loguru(_: Path) -> None:
    logger.disable("")
    logger.disable("opa")


def by_remove_of_the_log(_: Path) -> None:
    log.remove()


@pytest.mark.parametrize("change", [value for name, value in list(globals().items()) if name.startswith("by_")])
def test_no_way_of_setting_up_logging_keeps_an_error_out_of_the_log(
    change: Callable[[Path], None], lines: Lines, tmp_path: Path
) -> None:
    change(tmp_path)
    lines()
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("kept.before").exception("it failed")
        log.exception("it failed too")
    first, second = lines()
    assert (first["level"], first["message"], first["exception"]["type"]) == ("ERROR", "it failed", "ValueError")
    assert (second["message"], second["exception"]["type"]) == ("it failed too", "ValueError")


def test_a_logger_that_a_configuration_puts_on_the_terminal_is_in_the_log_once(lines: Lines) -> None:
    logging.config.dictConfig(DICT)
    logging.getLogger("kept.named").info("by a handler of its own")
    config: dict[str, Any] = DICT["loggers"]["kept.named"]
    logging.config.dictConfig({**DICT, "loggers": {"kept.named": {**config, "propagate": True}}})
    logging.getLogger("kept.named").warning("by two handlers")
    assert [line["message"] for line in lines()] == ["by a handler of its own", "by two handlers"]


def test_handlers_that_write_elsewhere_and_levels_of_loggers_are_set_up(lines: Lines, tmp_path: Path) -> None:
    file = tmp_path / "own.log"
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(file)}}
    loggers = {"kept.quiet": {"level": "ERROR"}}
    logging.config.dictConfig({"version": 1, "handlers": handlers, "root": {"handlers": ["file"]}, "loggers": loggers})
    logging.getLogger("kept.quiet").warning("not heard")
    logging.getLogger("kept.other").warning("heard")
    assert [line["message"] for line in lines()] == ["heard"]
    assert file.read_text() == "heard\n"
    logging.basicConfig(force=True)  # closes it


def test_a_single_logger_can_be_switched_off(lines: Lines) -> None:
    logging.getLogger("kept.off").disabled = True
    logging.getLogger("kept.off").error("not heard")
    logging.getLogger("kept.off").disabled = False
    logging.getLogger("kept.off").error("heard")
    assert [line["message"] for line in lines()] == ["heard"]


def test_a_call_that_is_not_heard_runs_nothing_of_the_log(lines: Lines) -> None:
    quiet = logging.getLogger("kept.quick")
    quiet.debug("not heard")  # from here on its level is in its cache
    called: list[str] = []
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        quiet.debug("not heard")
    finally:
        sys.setprofile(None)
    assert called == ["debug", "isEnabledFor"]


def test_logging_is_disabled_up_to_warnings(lines: Lines) -> None:
    logging.disable()
    logging.getLogger("kept").warning("not heard")
    logging.getLogger("kept").error("heard")
    assert [line["message"] for line in lines()] == ["heard"]


def test_after_a_plugin_has_run_the_level_is_that_of_the_settings(lines: Lines) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    logging.disable(logging.INFO)
    logging.getLogger("kept").info("not heard")
    keep_logging(SETTINGS)
    logging.getLogger("kept").info("heard")
    assert [line["message"] for line in lines()] == ["heard"]


def test_sinks_that_write_elsewhere_come_and_go(lines: Lines) -> None:
    written: list[str] = []
    number = logger.add(written.append, format="{message}")
    log.error("to both")
    logger.remove(number)
    log.error("to one")
    logger.add(written.append, format="{message}")
    logger.remove()
    log.error("to one")
    assert written == ["to both\n"]
    assert [line["message"] for line in lines()] == ["to both", "to one", "to one"]


def test_a_sink_on_the_terminal_is_left_out_and_that_is_said(lines: Lines) -> None:
    logger.add(sys.stderr)
    (line,) = lines()
    assert line["message"].startswith("a sink on the terminal is left out")
    assert line["function"] == "test_a_sink_on_the_terminal_is_left_out_and_that_is_said"


def test_a_record_that_is_in_the_log_can_be_sent_to_another_process(lines: Lines) -> None:
    sent: list[bytes] = []

    class Sends(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            sent.append(pickle.dumps(vars(record)))

    logging.getLogger().addHandler(Sends())
    logging.getLogger("kept").warning("heard")
    assert [line["message"] for line in lines()] == ["heard"]
    assert pickle.loads(sent[0])["msg"] == "heard"


def test_a_handler_that_sends_records_elsewhere_may_write_by_loguru_itself(lines: Lines) -> None:
    sent: list[str] = []

    class Client:
        def log(self, text: str) -> None:
            sent.append(text)

    client = Client()

    class Ships(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(depth=1).debug("a record is sent")
            client.log(record.getMessage())

    logging.getLogger().addHandler(Ships())
    keep_logging(SETTINGS)
    logging.getLogger("kept").warning("heard")
    assert sent == ["heard"]
    assert [line["message"] for line in lines()] == ["heard"]


log_of_loguru = logger


class LeadsAsWell(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno:
            log_of_loguru.bind(by="it").opt(exception=record.exc_info).log(record.levelname, record.getMessage())


class ImportsWithin(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from loguru import logger

        logger.log(record.levelno, record.getMessage())


@pytest.mark.parametrize("kind", [InterceptHandler, LeadsAsWell, ImportsWithin])
def test_a_handler_that_leads_records_into_loguru_writes_none_twice(kind: type[logging.Handler], lines: Lines) -> None:
    logging.getLogger("kept.led").addHandler(kind())
    logging.getLogger("kept.led").warning("once")
    assert [line["message"] for line in lines()] == ["once"]


class PropagateHandler(logging.Handler):
    """As loguru's pages have it."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger(record.name).handle(record)


def test_a_sink_that_leads_lines_of_loguru_into_the_standard_library_writes_none_twice(lines: Lines) -> None:
    number = logger.add(PropagateHandler(), format="{message}")
    logging.getLogger("kept").warning("from the standard library")
    log.warning("from loguru")
    logger.remove(number)
    assert [line["message"] for line in lines()] == ["from the standard library", "from loguru"]

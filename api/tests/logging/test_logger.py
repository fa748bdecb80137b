from __future__ import annotations

import copy
import importlib.util
import json
import logging
import os
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from loguru import logger

from opa.logging.arguments import Shown
from opa.logging.logger import log, setup_logging
from opa.logging.standard import InterceptHandler
from tests.logging.conftest import Lines, here, run, settings

pytestmark = pytest.mark.usefixtures("undone")


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no")


class Counted:
    """Counts how often it is asked what it is."""

    asked = 0

    def __repr__(self) -> str:
        type(self).asked += 1
        return "Counted()"


@pytest.mark.parametrize("level", ["trace", "debug", "info", "success", "warning", "error", "critical"])
def test_each_level_writes_its_caller(lines: Lines, level: str) -> None:
    getattr(log, level)("hello {}", "you")
    line = here() - 1
    (found,) = lines()
    assert found["level"] == level.upper()
    assert found["message"] == "hello you"
    assert (found["file"], found["line"]) == (__file__, line)
    assert found["function"] == "test_each_level_writes_its_caller"
    assert found["logger"] == __name__
    assert found["process"] == os.getpid()


def test_log_with_a_level_by_name_or_number_writes_its_caller(lines: Lines) -> None:
    log.log("info", "one")
    log.log(20, "two")
    line = here() - 1
    written = lines()
    assert [(found["message"], found["line"]) for found in written] == [("one", line - 1), ("two", line)]
    assert [found["level"] for found in written] == ["INFO", "INFO"]


@pytest.mark.parametrize(("number", "name"), [(logging.DEBUG, "DEBUG"), (logging.WARNING, "WARNING"), (50, "CRITICAL")])
def test_a_number_of_the_standard_library_is_the_level_of_that_name(lines: Lines, number: int, name: str) -> None:
    log.log(number, "x")
    assert lines()[0]["level"] == name


def test_the_timestamp_is_iso_8601_in_utc(lines: Lines) -> None:
    log.info("now")
    (found,) = lines()
    assert found["timestamp"].endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(found["timestamp"])) < timedelta(minutes=1)


def test_a_message_without_arguments_stays_as_it_is(lines: Lines) -> None:
    log.info('{"json": {}}\nand <red>two</red> lines')
    assert lines()[0]["message"] == '{"json": {}}\nand <red>two</red> lines'


def test_anything_may_be_a_message(lines: Lines) -> None:
    log.info({"a": 1})
    log.info(None)
    log.info(ValueError("wrong"))
    assert [found["message"] for found in lines()] == ["{'a': 1}", "None", "wrong"]


def test_keyword_arguments_and_bind_become_fields(lines: Lines) -> None:
    log.bind(order=7).info("hello {name}", name="you", tags=["a", {"b": None}])
    (found,) = lines()
    assert found["message"] == "hello you"
    assert found["extra"] == {"order": 7, "name": "you", "tags": ["a", {"b": None}]}


def test_exception_carries_the_traceback_and_its_caller(lines: Lines) -> None:
    try:
        int("x")
    except ValueError:
        log.exception("no number: {}", "x")
        line = here() - 1
    (found,) = lines()
    assert (found["level"], found["message"], found["line"]) == ("ERROR", "no number: x", line)
    assert found["exception"]["type"] == "ValueError"
    assert "invalid literal" in found["exception"]["message"]
    assert 'int("x")' in found["exception"]["traceback"]


def test_opt_keeps_the_meaning_that_it_has_in_loguru(lines: Lines) -> None:
    def inner() -> None:
        log.opt(depth=1).info("from outside")

    inner()
    line = here() - 1
    log.opt(lazy=True).info("{}", lambda: "late")
    assert [(found["message"], found["line"]) for found in lines()] == [("from outside", line), ("late", line + 2)]


def test_the_rest_of_loguru_is_there(lines: Lines) -> None:
    def fails() -> None:
        raise KeyError("gone")

    log.catch(fails)()
    with log.contextualize(request="r1"):
        log.info("inside")
    caught, inside = lines()
    assert caught["exception"]["type"] == "KeyError"
    assert inside["extra"] == {"request": "r1"}


def test_an_object_through_the_pipe_is_written_and_comes_back_the_same(lines: Lines) -> None:
    value = {"a": [1]}
    assert (value | log) is value
    line = here() - 1
    (found,) = lines()
    assert (found["level"], found["line"]) == ("DEBUG", line)
    assert found["message"] == "dict: {'a': [1]}"


@pytest.mark.parametrize("value", [1, None, "a{b}", [1], {1}, int, Counted()])
def test_any_kind_of_object_goes_through_the_pipe(lines: Lines, value: Any) -> None:
    assert (value | log) is value
    assert type(value).__qualname__ in lines()[0]["message"]


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")
def test_an_array_goes_through_the_pipe_as_a_whole(lines: Lines) -> None:
    import numpy as np

    value = np.zeros(3)
    assert (value | log) is value
    assert len(lines()) == 1


def test_a_level_that_is_off_costs_no_repr() -> None:
    setup_logging(settings("info"))
    Counted.asked = 0
    assert isinstance(Counted() | log, Counted)
    log.debug("{}", Counted())
    logging.getLogger("library").debug("%r", Counted())
    assert Counted.asked == 0


@pytest.mark.parametrize(
    "write",
    [
        lambda: log.info("{missing}", 1),
        lambda: log.info("{} {}", 1),
        lambda: log.info({"a": 1}, 2),
        lambda: log.info(Unprintable()),
        lambda: log.info("{!r}", Unprintable()),
        lambda: log.bind(value=Unprintable()).info("bound"),
        lambda: Unprintable() | log,
        lambda: log.log("no such level", "x"),
        lambda: log.log([], "x"),  # type: ignore[arg-type]
        lambda: log.info("x", stacklevel=None),
        lambda: log.info("x", stacklevel=1000, stack_info=True),
        lambda: logging.getLogger("library").info("%d", "no number"),
        lambda: logging.getLogger("library").info("%s", Unprintable()),
        lambda: logging.getLogger("library").info(Unprintable()),
        lambda: logging.getLogger("library").info("x", extra={"value": Unprintable(), "self": 1}),
    ],
)
def test_nothing_that_is_logged_raises_into_the_caller(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, write: Callable[[], object]
) -> None:
    root = logging.getLogger()
    ours = [handler for handler in root.handlers if isinstance(handler, InterceptHandler)]
    monkeypatch.setattr(root, "handlers", ours)  # pytest's own handler does raise
    write()
    assert len(lines()) == 1


def test_nothing_is_formatted_for_a_level_without_a_sink(lines: Lines) -> None:
    asked: list[str] = []

    class Counts:
        def __str__(self) -> str:
            asked.append("once")
            return "text"

    log.log(1, "%s", Counts())
    log.log(1, "value:", Counts())
    log.log(1, "%s", Counts(), extra={"a": 1})
    assert (asked, lines()) == ([], [])
    written: list[str] = []
    number = logger.add(written.append, level=1, format="{message}")
    log.log(1, "%s", Counts())
    logger.remove(number)
    assert written == ["text\n"]


def test_a_stacklevel_beyond_the_outermost_frame_is_that_frame(lines: Lines) -> None:
    log.info("x", stacklevel=1000, stack_info=True)
    (line,) = lines()
    assert (line["level"], line["message"]) == ("INFO", "x")
    assert "stack" in line["extra"]


def test_a_message_that_cannot_be_formatted_is_written_with_the_error(lines: Lines) -> None:
    log.info("{missing} things", 5)
    line = here() - 1
    (found,) = lines()
    assert found["line"] == line
    assert found["message"] == "{missing} things, 5 (cannot be logged as asked: KeyError('missing'))"


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("%s of %d", ("disk", 3), "disk of 3"),
        ("%(a)s and %(b).1f", ({"a": 1, "b": 2},), "1 and 2.0"),
        ("done: %s", ({"password": "hunter2"},), "done: {'password': '***'}"),
        ("100%% of %s", ("it",), "100% of it"),
        ("{} of %s", ("disk",), "disk of %s"),
        ("{} is 100 %", ("disk",), "disk is 100 %"),
        ("{1} {0}", ("a", "b"), "b a"),
        ("{0} {0}", ("a",), "a a"),
        ("value:", (5,), "value:, 5 (nothing in the message takes the last 1)"),
        ("value:", ({"token": "hunter2"},), "value:, {'token': '***'} (nothing in the message takes the last 1)"),
        ("{} and", ("a", "b"), "a and, 'b' (nothing in the message takes the last 1)"),
        ("%d of them", ("many",), "%d of them, 'many' (nothing in the message takes the last 1)"),
        ("50 %", (3,), "50 %, 3 (nothing in the message takes the last 1)"),
    ],
)
def test_every_argument_is_written(lines: Lines, message: str, args: tuple[Any, ...], expected: str) -> None:
    log.info(message, *args)
    (line,) = lines()
    assert (line["level"], line["message"]) == ("INFO", expected)
    assert line["function"] == "test_every_argument_is_written"


def test_named_arguments_stay_fields_beside_values_for_percent(lines: Lines) -> None:
    log.info("%s is here", "a", order=7)
    (line,) = lines()
    assert (line["message"], line["extra"]) == ("a is here", {"order": 7})


@pytest.mark.parametrize("form", ["true", "one", "exception", "tuple"])
def test_exc_info_of_the_standard_library_gives_the_exception(lines: Lines, form: str) -> None:
    try:
        raise ValueError("mine")
    except ValueError as error:
        given = {"true": True, "one": 1, "exception": error, "tuple": sys.exc_info()}[form]
        log.error("it failed: {}", "why", exc_info=given)
    (line,) = lines()
    assert line["message"] == "it failed: why"
    assert (line["exception"]["type"], line["exception"]["message"]) == ("ValueError", "mine")
    assert "extra" not in line
    assert line["function"] == "test_exc_info_of_the_standard_library_gives_the_exception"


def test_code_of_the_standard_library_may_ask_what_is_written(lines: Lines) -> None:
    assert log.isEnabledFor(logging.WARNING)
    assert not log.isEnabledFor(3)


def test_exc_info_without_an_exception_gives_none(lines: Lines) -> None:
    log.error("{no braces}", exc_info=True)
    log.error("none", exc_info=False)
    assert [(line["message"], "exception" in line, "extra" in line) for line in lines()] == [
        ("{no braces}", False, False),
        ("none", False, False),
    ]


def test_other_arguments_of_the_standard_library_mean_the_same(lines: Lines) -> None:
    def helper() -> None:
        log.info("one", extra={"order": 7, "token": "hunter2"}, stacklevel=2)
        log.info("two", stack_info=True)
        log.info("{extra}", extra=5)

    helper()
    log.warn("three")
    log.fatal("four")
    one, two, extra, three, four = lines()
    assert one["extra"] == {"order": 7, "token": "***"}
    assert one["function"] == "test_other_arguments_of_the_standard_library_mean_the_same"
    assert two["extra"]["stack"].rstrip().endswith('log.info("two", stack_info=True)')
    assert extra["message"] == "5"
    assert (three["level"], four["level"]) == ("WARNING", "CRITICAL")


def test_the_log_and_what_holds_it_can_be_copied_and_pickled(lines: Lines) -> None:
    bound = log.bind(order=7).opt(depth=0)
    for one in (log, bound):
        assert copy.copy(one) is one
        assert copy.deepcopy([one])[0] is one
    assert pickle.loads(pickle.dumps(log)) is log
    pickle.loads(pickle.dumps(bound)).bind(more=8).info("hello")
    assert [line["extra"] for line in lines()] == [{"order": 7, "more": 8}]
    assert copy.copy(Shown([1])).value == [1]


@pytest.mark.parametrize("value", [float("nan"), {1: {2: 3}}, {(1, 2): object}, b"bytes", {1, 2}])
def test_any_extra_value_gives_a_line_of_valid_json(capsys: pytest.CaptureFixture[str], value: object) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    setup_logging(settings())
    log.bind(value=value).info("x")
    assert "value" in json.loads(capsys.readouterr().err, parse_constant=refuse)["extra"]


def test_an_extra_value_that_holds_itself_gives_a_line(lines: Lines) -> None:
    value: list[Any] = []
    value.append(value)
    log.bind(value=value).info("x")
    assert lines()[0]["extra"] == {"value": "[[...]]"}


def test_text_that_is_no_unicode_gives_a_line(lines: Lines) -> None:
    log.info("broken \udc80 naïve")
    assert lines()[0]["message"] == "broken \udc80 naïve"


def test_passwords_never_appear(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("json", "text"):
        setup_logging(settings(form=form))
        log.info("connect to redis://user:hunter2@host:6379/0?password=hunter2")
        log.bind(url="mongodb://u:hunter2@h", token="hunter2", deep={"password": "hunter2"}).info("x")
        "redis://:hunter2@host" | log
        logging.getLogger("library").warning("using %s", "amqp://u:hunter2@h//")
        try:
            raise ConnectionError("redis://:hunter2@host")
        except ConnectionError:
            log.exception("failed")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "redis://user:***@host:6379/0" in written


def test_the_standard_librarys_logging_is_led_into_the_log(lines: Lines) -> None:
    logging.getLogger("some.library").warning("%s {braces} <red>", "value", extra={"request": 5})
    line = here() - 1
    (found,) = lines()
    assert (found["level"], found["logger"]) == ("WARNING", "some.library")
    assert found["message"] == "value {braces} <red>"
    assert (found["file"], found["line"]) == (__file__, line)
    assert found["function"] == "test_the_standard_librarys_logging_is_led_into_the_log"
    assert found["extra"] == {"request": 5}


def test_an_exception_in_the_standard_librarys_logging_is_kept(lines: Lines) -> None:
    try:
        int("x")
    except ValueError:
        logging.getLogger("library").exception("failed")
    logging.getLogger("library").error("nothing was raised", exc_info=True)
    raised, nothing = lines()
    assert raised["exception"]["type"] == "ValueError"
    assert "exception" not in nothing


def test_stack_info_of_the_standard_librarys_logging_is_kept(lines: Lines) -> None:
    logging.getLogger("library").info("here", stack_info=True)
    assert "Stack (most recent call last)" in lines()[0]["message"]


def test_levels_that_only_the_standard_librarys_logging_has_are_kept(lines: Lines) -> None:
    logging.getLogger("uvicorn").log(5, "uvicorn's trace")
    logging.getLogger("library").log(35, "its own")
    assert [found["level"] for found in lines()] == ["TRACE", "Level 35"]


def test_warnings_are_logged_with_the_place_that_warns(lines: Lines) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)  # the one that pytest has put there is not ours
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        line = here() - 1
        logging.captureWarnings(False)
    (found,) = lines()
    assert (found["level"], found["file"], found["line"]) == ("WARNING", __file__, line)
    assert "DeprecationWarning: old" in found["message"]


def test_handlers_on_the_terminal_are_taken_over_and_others_stay(lines: Lines, tmp_path: Any) -> None:
    library = logging.getLogger("library.with.handlers")
    library.propagate = False
    library.addHandler(logging.StreamHandler(sys.stderr))
    to_file = logging.FileHandler(tmp_path / "library.log")
    other = logging.getLogger("library.with.a.file")
    other.addHandler(to_file)
    setup_logging(settings())
    library.warning("once")
    other.warning("twice")
    to_file.close()
    other.removeHandler(to_file)
    assert [found["message"] for found in lines()] == ["once", "twice"]
    assert (tmp_path / "library.log").read_text() == "twice\n"


def test_setting_it_up_again_writes_each_line_once(lines: Lines) -> None:
    setup_logging(settings())
    setup_logging(settings())
    log.info("one")
    logging.getLogger("library").info("two")
    assert [found["message"] for found in lines()] == ["one", "two"]


def test_a_sink_that_a_plugin_added_is_kept(lines: Lines) -> None:
    written: list[str] = []
    sink = log.add(written.append, format="{message}")
    setup_logging(settings())
    log.info("both")
    log.remove(sink)
    assert written == ["both\n"]
    assert len(lines()) == 1


def test_the_level_of_the_settings_holds_for_both(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(settings("WARNING"))
    log.info("no")
    logging.getLogger("library").info("no")
    log.warning("yes")
    logging.getLogger("library").warning("yes")
    assert [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()] == ["yes", "yes"]


@pytest.mark.parametrize(
    "library", ["pymongo.command", "celery.beat", "redis.connection", "httpcore2.http11", "aiosqlite"]
)
def test_chatty_libraries_are_heard_at_trace_alone(capsys: pytest.CaptureFixture[str], library: str) -> None:
    for level in ("debug", "trace"):
        setup_logging(settings(level))
        logging.getLogger(library).debug("a command with data")
        logging.getLogger("library").debug("anything")
    messages = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert messages == ["anything", "a command with data", "anything"]


def test_the_timestamp_is_in_utc_wherever_the_machine_stands() -> None:
    line = json.loads(run("from opa import log; log.info('now')", TZ="Asia/Tokyo").stderr)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(line["timestamp"])) < timedelta(minutes=1)


def test_the_log_works_in_a_process_that_was_forked_while_others_were_logging() -> None:
    done = run(
        """
        import os, sys, threading
        from opa import log

        stop = threading.Event()
        def write():
            while not stop.is_set():
                log.info("busy")
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(20):
            if (child := os.fork()) == 0:
                log.info(f"child {number}")
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                sys.exit(1)
        stop.set()
        for thread in threads:
            thread.join()
        """,
        PYTHONWARNINGS="ignore",  # from 3.12 on Python warns of a fork beside threads
    )
    assert done.returncode == 0, done.stderr[-2000:]
    messages = {json.loads(line)["message"] for line in done.stderr.splitlines()}
    assert messages == {"busy"} | {f"child {number}" for number in range(20)}


def test_an_agent_that_adds_a_sink_while_loguru_is_imported_leaves_the_log_alone() -> None:
    # As that of New Relic does: loguru's own sink, which would show the values of variables, is not the first then.
    agent = """
import importlib.abc, importlib.util, sys

class Agent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "loguru._logger":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def patched(module):
            execute(module)
            init = module.Logger.__init__
            def add(logger, *arguments, **options):
                init(logger, *arguments, **options)
                if not seen:
                    seen.append(logger)
                    logger.add(seen.append)
            module.Logger.__init__ = add
        spec.loader.exec_module = patched
        return spec

seen = []
sys.meta_path.insert(0, Agent())
from opa import log
log.warning("said once")
assert len(seen) == 2, seen
"""
    result = run(agent, fresh=True, OPA_LOG_FORMAT="text")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("said once") == 1

"""Secrets of many shapes are planted wherever one may get, and looked for in every output."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, field_validator
from typer.testing import CliRunner

from opa._util.masking.secrets import mask_text
from opa.cli.commands import app
from opa.core.plugin_settings import PluginSettings, PluginSettingsStore
from opa.current import current
from opa.errors import OpaError, SettingsError
from opa.logging import logger as logger_module
from opa.logging import tracebacks as exceptions
from opa.logging.logger import log, setup_logging
from opa.process.error_report import print_error
from opa.settings.config import Config
from opa.settings.validation import check
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import describe
from tests import programs
from tests._util.masking.planted import INNOCENT, PLANTED, SECRET
from tests.project import Project

LEVELS = ["trace", "debug", "info", "success", "warning", "error", "critical"]
ALL = "\n".join(text for text, _ in PLANTED.values())


def settings(form: str, *, values: bool = False) -> Any:
    return SimpleNamespace(
        LOGLEVEL="trace", LOG_FORMAT=form, BETTER_EXCEPTIONS=values, BETTER_EXCEPTIONS_MAX_LENGTH=1000
    )


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log and the standard library's logging as before."""
    monkeypatch.setattr(current, "traceback_format", current.traceback_format)
    monkeypatch.setattr(logger_module, "report_what_nothing_caught", lambda _log: None)
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    yield
    logging.captureWarnings(False)
    setup_logging(settings("text"))
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def seen_in(output: str, planted: Iterable[tuple[str, tuple[str, str]]] = PLANTED.items()) -> list[str]:
    """The names of the secrets that can be seen."""
    return [name for name, (_, secret) in planted if secret in output]


def fails(text: str) -> None:
    def inner(noted: str) -> None:
        password = {"deep": noted}  # a variable whose value is shown beside the line, where values are shown
        raise ValueError(f"bad: {noted}", noted, password)

    inner(text)


def chained(text: str) -> None:
    try:
        fails(text)
    except ValueError as error:
        error.add_note(f"a note: {text}")
        raise ExceptionGroup("several", [KeyError(text), RuntimeError(text)]) from error


def write_everywhere(level: str, text: str) -> None:
    write = getattr(log, level)
    write(text)
    write("it is {}", text)
    write("it is {0} and {note}", {"a": [text]}, note=text)
    write("{}", [{"a": (text, {"b": {text}})}])
    write({"a": text})
    write(ValueError(text))
    log.bind(note=text, notes=[text], deep={"a": {"b": text}}).log(level, "bound")
    log.opt(lazy=True).log(level, "{}", lambda: {"late": text})
    with log.contextualize(note=text):
        write("inside")
    for cause in (fails, chained) if level == "error" else ():  # it takes long, and a level changes nothing in it
        try:
            cause(text)
        except Exception as error:
            log.opt(exception=error).log(level, "failed")


def write_in_other_ways(text: str) -> None:
    {"a": text} | log
    text | log
    library = logging.getLogger("library")
    library.warning("it is %s", text)
    library.warning("it is %s", {"a": text}, extra={"note": text, "deep": {"a": text}})
    library.warning("it is %(note)s", {"note": text})
    library.warning("%d", text)
    library.error({"a": text})
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "10.0.0.1:5", "GET", f"/a?{text}", "1.1", 200)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(text, stacklevel=1)
        logging.captureWarnings(False)
    log.info("{missing}", text)
    try:
        fails(text)
    except ValueError:
        log.exception("failed with {}", text)
        library.exception("failed")


def test_there_are_sixty_shapes_and_forty_innocent_texts() -> None:
    assert len(PLANTED) >= 60
    assert len(INNOCENT) >= 40


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_is_masked_once_and_for_all(name: str) -> None:
    text, secret = PLANTED[name]
    assert secret in text
    masked = mask_text(text)
    assert secret not in masked
    assert mask_text(masked) == masked


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_text_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_in_the_log_at_any_level(capsys: pytest.CaptureFixture[str], form: str, values: bool) -> None:
    setup_logging(settings(form, values=values))
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__.startswith("opa.")]
    capsys.readouterr()
    for level in LEVELS:
        for name, (text, secret) in PLANTED.items():
            write_everywhere(level, text)
            written = capsys.readouterr().err
            assert written.count("bound") == 1, name
            assert secret not in written, (level, name, written[: written.index(secret) + 200][-600:])


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_comes_through_another_door_of_the_log(capsys: pytest.CaptureFixture[str], form: str) -> None:
    setup_logging(settings(form, values=True))
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__.startswith("opa.")]
    capsys.readouterr()
    for name, (text, secret) in PLANTED.items():
        write_in_other_ways(text)
        written = capsys.readouterr().err
        assert secret not in written, (name, written[: written.index(secret) + 200][-600:])


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "write",
    [
        lambda: log.info("{}", {"password": SECRET, "a": 1}),
        lambda: log.info("{password}", password=SECRET),
        lambda: log.info("{0[password]} {1.token}", {"password": SECRET}, SimpleNamespace(token=SECRET)),
        lambda: log.info("{password:>30}", password=SECRET),
        lambda: log.info("{pin_token:d}", pin_token=int("77317731")),
        lambda: log.info({"deep": [{"api_key": SECRET}]}),
        lambda: log.bind(password=[SECRET], deep={"token": {"a": SECRET}}, headers=[(b"cookie", SECRET.encode())]).info(
            ""
        ),
        lambda: log.opt(lazy=True).info("{password}", password=lambda: SECRET),
        lambda: log.info(f"got { ({'password': ('a', SECRET), 'b': 1}) }"),
        lambda: log.info(f"got { ({'tokens': {'a': [SECRET]}}) }"),
        lambda: log.info(f"got { ({'password': 77317731}) }"),
        lambda: {"password": SECRET} | log,
        lambda: [("authorization", SECRET)] | log,
        lambda: {"type": "int", "loc": ("body", "password"), "input": SECRET} | log,
        lambda: logging.getLogger("library").warning("%(password)s", {"password": SECRET}),
        lambda: logging.getLogger("library").warning("%s", {"password": {"a": SECRET}}),
        lambda: logging.getLogger("library").warning("x", extra={"token": SECRET}),
        lambda: logging.getLogger("library").warning("%d %s", {"password": SECRET}, 1),
    ],
)
def test_a_value_with_a_telling_name_is_masked_in_the_log_however_it_is_passed(
    capsys: pytest.CaptureFixture[str], form: str, write: Callable[[], object]
) -> None:
    setup_logging(settings(form))
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if type(handler).__module__.startswith("opa.")]
    capsys.readouterr()
    write()
    written = capsys.readouterr().err
    assert "***" in written
    assert SECRET not in written
    assert "77317731" not in written


def test_a_sink_of_the_users_own_and_the_caller_get_unmasked_values() -> None:
    found: list[Any] = []
    sink = log.add(lambda message: found.append(message.record["extra"]), format="{message}")
    value = {"password": SECRET}
    log.info("{value}", value=value)
    assert (value | log) is value
    log.remove(sink)
    assert found[0]["value"] is value
    assert value == {"password": SECRET}


@pytest.mark.usefixtures("undone")
@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_text_is_logged_as_it_is(capsys: pytest.CaptureFixture[str], text: str) -> None:
    setup_logging(settings("json"))
    capsys.readouterr()
    log.info("{}", text)
    log.bind(note=text).info(text)
    logging.getLogger("library").warning("%s", text)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == [text] * 3
    assert lines[1]["extra"]["note"] == text
    setup_logging(settings("text"))
    capsys.readouterr()
    log.info(text)
    assert capsys.readouterr().err.endswith(f" {text}\n")


@pytest.mark.usefixtures("undone")
def test_a_variable_of_a_telling_name_is_masked_beside_its_line() -> None:
    exceptions.install(settings("text", values=True))

    def connect(password: str, headers: dict[str, str], color: str) -> None:
        raise ValueError(len(password + color), headers is None)

    with pytest.raises(ValueError) as caught:
        connect(SECRET, {"authorization": SECRET}, "green")
    written = exceptions.format_exception(caught.value)
    assert SECRET not in written
    assert "'green'" in written
    assert "'authorization': '***'" in written


@pytest.mark.usefixtures("undone")
def test_a_token_that_is_cut_off_at_the_limit_is_masked_all_the_same() -> None:
    config: Any = SimpleNamespace(BETTER_EXCEPTIONS=True, BETTER_EXCEPTIONS_MAX_LENGTH=10)
    exceptions.install(config)
    token = PLANTED["github personal"][1]

    def use(noted: str) -> None:
        raise ValueError(noted is None)

    with pytest.raises(ValueError) as caught:
        use(token)
    assert token[:8] not in exceptions.format_exception(caught.value)


def opa(*arguments: str) -> str:
    run = CliRunner().invoke(app, list(arguments), catch_exceptions=True)
    if isinstance(run.exception, OpaError):
        print_error(run.exception)
    return run.output


def test_no_secret_is_in_what_opa_config_shows_of_the_users_own_settings(project: Project) -> None:
    project.settings(
        MINE={f"text{number}": [{"url": text}] for number, (text, _) in enumerate(PLANTED.values())},
        KEYS_OF=[{"note": next(iter(PLANTED.values()))[0]}],
        MY_TOKEN=SECRET,
        NAMED={token: 1 for _, token in list(PLANTED.values())[:40]},
    )
    for arguments in ([], ["--json"], ["MINE"], ["MINE", "--json"], ["MINE.text3"], ["NAMED"], ["MY_TOKEN"]):
        shown = opa("config", *arguments)
        assert "***" in shown, arguments
        assert seen_in(shown) == [], arguments


@pytest.mark.parametrize("name", PLANTED)
def test_no_secret_is_in_a_mistake_in_the_settings(name: str) -> None:
    text, secret = PLANTED[name]
    values = {"PORT": text, "WORKERS": [text], "DEBUG": {"a": text}, "OPTIONAL_COMPONENTS": {"X": text}}
    mistakes = SettingsError("wrong", mistakes=check(values, {}).mistakes).mistakes
    assert any(line.startswith("PORT: is ") for line in mistakes)
    assert secret not in "".join(mistakes)


class Inner(BaseModel):
    pin: SecretStr
    note: int = 0

    @field_validator("pin")
    @classmethod
    def check(cls, pin: SecretStr) -> SecretStr:
        raise ValueError(f"bad {pin.get_secret_value()} or {pin.get_secret_value().upper()!r}")


class Mine(PluginSettings):
    inner: Inner
    some: list[Inner] = []
    note: int = 0


def mistakes_in(values: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        PluginSettingsStore(Config({"PLUGIN_SETTINGS": {"one": values}}), {__name__: "one"}).of(Mine)
    return caught.value.mistakes


@pytest.mark.parametrize("name", PLANTED)
def test_no_secret_is_in_a_mistake_in_the_settings_of_a_plugin(name: str) -> None:
    text, secret = PLANTED[name]
    some = [{"pin": secret}, text]
    mistakes = mistakes_in({"inner": {"pin": secret, "note": text}, "some": some, "note": text, "extra": text})
    assert secret not in "".join(mistakes)
    assert secret.upper() not in "".join(mistakes)
    assert any("inner.pin: Value error, bad ***" in line for line in mistakes)


def test_a_text_in_place_of_a_model_with_a_secret_is_not_shown() -> None:
    mistakes = mistakes_in({"inner": "4711-0815", "note": "green"})
    assert "4711-0815" not in "".join(mistakes)
    assert any("not 'green'" in line for line in mistakes)


NESTED = """
from pydantic import BaseModel, SecretStr
from opa import PluginSettings

class Account(BaseModel):
    user: str
    pin: SecretStr

class Mine(PluginSettings):
    accounts: dict[str, list[Account]]
    color: str
"""


def test_a_nested_secret_of_a_plugin_is_not_shown_by_opa_config(project: Project) -> None:
    project.plugin("one.py", NESTED)
    accounts = {"a": [{"user": "mary", "pin": "4711-0815"}]}
    project.settings(PLUGIN_SETTINGS={"one": {"accounts": accounts, "color": "green"}})
    for arguments in ([], ["--json"], ["PLUGIN_SETTINGS.one"], ["PLUGIN_SETTINGS.one.accounts", "--json"]):
        shown = opa("config", *arguments)
        assert "4711-0815" not in shown
        assert "mary" in shown


def raising(step: str) -> str:
    return f"import json, pathlib\ndef fail():\n  raise RuntimeError(pathlib.Path('planted.txt').read_text())\n{step}\n"


@pytest.mark.parametrize("command", [["check"], ["plugins"], ["plugins", "--json"], ["plugins", "broken"]])
@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_no_secret_is_shown_of_a_plugin_that_cannot_be_imported(
    project: Project, capsys: pytest.CaptureFixture[str], command: list[str], policy: str
) -> None:
    (project.folder / "planted.txt").write_text(ALL)
    project.plugin("broken.py", raising("fail()"))
    project.settings(PLUGIN_FAILURE=policy)
    shown = opa(*command) + "".join(capsys.readouterr())
    assert "RuntimeError" in shown
    assert seen_in(shown) == []


@pytest.mark.parametrize("step", ["def startup(): fail()", "def ready(): fail()"])
def test_no_secret_is_told_of_a_plugin_that_cannot_be_started(
    project: Project, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    (project.folder / "planted.txt").write_text(ALL)
    project.plugin("broken.py", raising(step))
    project.settings(PLUGIN_FAILURE="skip", READY_DETAILS=True)
    with project.client() as client:
        told = client.get("/readyz").text
    assert "RuntimeError" in told
    assert seen_in(told + "".join(capsys.readouterr())) == []


DRIVER = """
import pathlib
from opa import Driver

class Failing(Driver):
    name = "failing"

    def connect(self):
        raise ConnectionError(f"{self.opts['URL']} refuses: " + pathlib.Path('planted.txt').read_text())
"""


def test_no_secret_is_told_of_a_component_that_does_not_connect(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "planted.txt").write_text(ALL)
    project.plugin("failing.py", DRIVER)
    project.component("THING", "failing", load="auto", URL=f"thing://user:{SECRET}@host")
    project.settings(COMPONENT_CONNECT_TIMEOUT=0.1, READY_DETAILS=True)
    with project.client() as client:
        told = client.get("/readyz").text
    assert "THING" in told.upper()
    assert seen_in(told + "".join(capsys.readouterr())) == []
    project.component("THING", "failing", load="yes", URL=f"thing://user:{SECRET}@host")
    with pytest.raises(OpaError) as caught, project.client():
        pass
    assert seen_in(str(caught.value)) == []


@pytest.mark.parametrize("name", PLANTED)
def test_no_secret_is_in_a_dead_letter(name: str) -> None:
    text, secret = PLANTED[name]
    for arguments in (repr((text, {"a": [text]})), f"(<object {text}>,)"):
        headers = {"id": "1", "task": f"a.{text}", "argsrepr": arguments, "kwargsrepr": repr({"token": secret})}
        letter = describe(
            headers, "application/json", b"[]", Limits(), queue="q", reason="rejected", deliveries=1, died=None
        )
        assert secret[:30] not in letter.arguments
        assert secret not in letter.task


END = """
import pathlib, sys, threading
from types import SimpleNamespace
from opa.logging.logger import setup_logging

setup_logging(SimpleNamespace(
    LOGLEVEL="info", LOG_FORMAT=sys.argv[2], BETTER_EXCEPTIONS=True, BETTER_EXCEPTIONS_MAX_LENGTH=None
))
text = pathlib.Path(sys.argv[1]).read_text()
def fail():
    note = text
    raise ValueError(note)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_reported_when_a_thread_or_the_process_ends(tmp_path: Path, form: str) -> None:
    (tmp_path / "planted.txt").write_text(ALL)
    command = [sys.executable, "-c", END, str(tmp_path / "planted.txt"), form]
    done = programs.run(command)
    assert done.returncode == 1
    assert done.stderr.count("nothing caught") == 2
    assert seen_in(done.stdout + done.stderr) == []

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu.serialization import disable_insecure_serializers, enable_insecure_serializers

from opa.bootstrap import prepare
from opa.checks.deploy.check import Deployment
from opa.checks.deploy.components import component_passwords, passwords_of_applications
from opa.checks.deploy.start import refuse_open_applications, refuse_open_doors, warn_of_known_passwords
from opa.checks.deploy.table import CHECKS
from opa.checks.deploy.tasks import SETTINGS_OF_FORMATS, unsafe_formats_in_applications
from opa.errors import OpenDoorError, OpenDoorsError
from opa.logging.logger import log
from opa.main import start_api
from opa.serve.flower import serve as serve_flower
from opa.settings.load import Config
from opa.tasks.required import task_application
from tests import programs
from tests.project import Project

KEY = "5e1f0c9a7b3d48e2a6d4f8c1b09e7352"
REACHED = {"DEBUGPY": True, "DEBUGPY_HOST": "0.0.0.0"}


def doors(project: Project, mode: str = "api", **environ: str) -> list[str]:
    """The ids of what keeps the mode from starting."""
    try:
        refuse_open_doors(project.config(), environ, mode)
    except OpenDoorsError as error:
        return [each.id for each in error.each if isinstance(each, OpenDoorError)]
    return []


@pytest.fixture(autouse=True)
def production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "production")


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The lines of the log."""
    lines: list[str] = []
    sink = log.add(lines.append, format="{message}")
    yield lines
    log.remove(sink)


def test_a_start_with_the_defaults_is_refused_in_no_mode(project: Project) -> None:
    assert [doors(project, mode) for mode in ("api", "worker", "beat")] == [[], [], []]
    assert doors(project, "flower", FLOWER_BASIC_AUTH=f"mary:{KEY}") == []


@pytest.mark.parametrize(
    ("settings", "id_", "modes"),
    [
        ({"DEBUG": True}, "deploy.debug", ["api"]),
        ({"JWT_ISSUERS": [{"issuer": "a", "audience": "b", "secret": "a" * 40}]}, "deploy.jwt-secret", ["api"]),
        (REACHED, "deploy.debugger", ["api", "worker"]),
        ({"DEBUGPY": True, "DEBUGPY_HOST": "::"}, "deploy.debugger", ["api", "worker"]),
        ({"CELERY_ACCEPT_CONTENT": ["json", "pickle"]}, "deploy.pickle", ["api", "worker", "flower"]),
        ({"CELERY_RESULT_ACCEPT_CONTENT": ["dill"]}, "deploy.pickle", ["api", "worker", "flower"]),
        ({"CELERY_ACCEPT_CONTENT": {"json": True, "pickle": True}}, "deploy.pickle", ["api", "worker", "flower"]),
        ({"CELERY_EVENT_SERIALIZER": "pickle"}, "deploy.pickle", ["api", "worker", "flower"]),
        ({"CELERY_RESULT_BACKEND": f"db+postgresql://a:{KEY}@db"}, "deploy.pickle", ["api", "worker", "flower"]),
    ],
)
def test_an_open_door_keeps_the_modes_that_it_concerns_from_starting(
    project: Project, settings: dict[str, Any], id_: str, modes: list[str]
) -> None:
    project.settings(**settings)
    environ = {"FLOWER_BASIC_AUTH": f"mary:{KEY}"}

    found = {mode: doors(project, mode, MODE=mode, **environ) for mode in ("api", "worker", "beat", "flower")}

    assert found == {mode: [id_] if mode in modes else [] for mode in found}


@pytest.mark.parametrize(
    ("option", "is_refused"),
    [
        ({"URL": "redis://:redis@cache"}, True),
        ({"URL": "redis://cache", "PASSWORD": "Changeme1"}, True),
        ({"URL": "redis://:x8Kq2v@cache"}, False),  # it may be all that the network needs
        ({"URL": "redis://cache"}, False),
        ({"URL": f"redis://:{KEY}@cache"}, False),
    ],
)
def test_a_password_that_everyone_knows_keeps_each_mode_from_starting(
    project: Project, option: dict[str, str], is_refused: bool
) -> None:
    project.component("cache", "any", **option)

    expected = ["deploy.component-password"] * is_refused
    assert [doors(project, mode) for mode in ("api", "worker", "beat")] == [expected] * 3


def test_formats_of_a_component_are_looked_at_too(project: Project) -> None:
    project.component("celery", "celery", BROKER_URL=f"amqp://a:{KEY}@q", ACCEPT_CONTENT=["pickle"])

    assert doors(project, "worker") == ["deploy.pickle"]


@pytest.mark.parametrize(
    ("host", "environ", "is_refused"),
    [
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": "flower:flower"}, True),
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": f"mary:{KEY},john:admin"}, True),
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": "mary:hunter2"}, False),
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": ":admin"}, False),  # refused by the mode itself, as below
        ("0.0.0.0", {"FLOWER_BASIC_AUTH": f"mary:{KEY}", "FLOWER_UNAUTHENTICATED_API": "true"}, True),
        ("0.0.0.0", {"FLOWER_AUTH": ".*@gmail.com"}, True),
        ("0.0.0.0", {"FLOWER_AUTH": ".*@example.com"}, False),
        ("0.0.0.0", {}, False),  # it is refused with ENV=dev too, by the mode itself
        ("127.0.0.1", {}, False),
        ("127.0.0.1", {"FLOWER_BASIC_AUTH": "flower:flower"}, False),
    ],
)
def test_flower_does_not_start_where_strangers_reach_it_and_are_let_in(
    project: Project, host: str, environ: dict[str, str], is_refused: bool
) -> None:
    project.settings(HOST=host)

    assert doors(project, "flower", MODE="flower", **environ) == ["deploy.flower-password"] * is_refused


@pytest.mark.parametrize("env", ["dev", "mine,dev"])
def test_with_the_env_of_development_nothing_is_refused(
    project: Project, env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settings(DEBUG=True, **REACHED)
    monkeypatch.setenv("ENV", env)

    assert doors(project) == []


def test_a_debugger_on_loopback_is_refused_nowhere(project: Project) -> None:
    project.settings(DEBUGPY=True)

    assert doors(project) == []


IMPORTED = """
import os, sys
from opa.settings.load import load_settings
from opa.bootstrap import prepare
from opa.checks.deploy.start import refuse_open_doors, warn_of_known_passwords

config = load_settings()
refuse_open_doors(config, os.environ, "api")
warn_of_known_passwords(config, os.environ, "api")
print(*(name for name in sys.modules if name.startswith("opa.checks.deploy.")))
"""


def test_a_start_with_nothing_to_look_at_imports_no_check(project: Project) -> None:
    done = programs.run([sys.executable, "-c", IMPORTED], env=dict(os.environ), fresh=True)

    assert done.stdout.split() == ["opa.checks.deploy.servers", "opa.checks.deploy.start"]


def test_all_that_is_open_is_told_at_once_with_what_to_do_and_how_to_accept_it(project: Project) -> None:
    project.settings(DEBUG=True, CELERY_ACCEPT_CONTENT=["pickle"], **REACHED)

    with pytest.raises(OpenDoorsError) as caught:
        refuse_open_doors(project.config(), {}, "api")

    debug, debugger, pickle = map(str, caught.value.each)
    assert debug.startswith("deploy.debug: DEBUG is on: a client that causes an error gets its traceback (")
    assert "00-test.json" in debug
    assert "Set it to false. To start with it all the same, add deploy.debug to CHECK_SILENCED with a reason" in debug
    assert debugger.startswith("deploy.debugger: ")
    assert pickle.startswith("deploy.pickle: ")


def test_a_server_of_another_kind_is_not_given_the_application(project: Project) -> None:
    project.settings(DEBUG=True)

    with pytest.raises(OpenDoorsError):
        start_api(project.config())


def test_an_open_door_that_check_silenced_accepts_is_no_longer_one(project: Project) -> None:
    project.settings(DEBUG=True, CHECK_SILENCED={"Deploy.Debug": "internal"}, **REACHED)

    assert doors(project) == ["deploy.debugger"]


def test_the_ids_are_those_of_the_check(project: Project) -> None:
    project.settings(HOST="0.0.0.0", DEBUG=True, CELERY_ACCEPT_CONTENT=["pickle"], **REACHED)
    project.component("cache", "any", URL="redis://:redis@cache")

    found = {*doors(project), *doors(project, "flower", MODE="flower", FLOWER_BASIC_AUTH="flower:flower")}

    assert len(found) == 5
    assert found <= {check.id for check in CHECKS}


def test_each_setting_by_which_celery_reads_a_format_is_looked_for_at_a_start(project: Project) -> None:
    for name in SETTINGS_OF_FORMATS:
        options: dict[str, Any] = {name: ["pickle"]}
        project.component("celery", "celery", BROKER_URL=f"amqp://a:{KEY}@q", **options)
        assert doors(project) == ["deploy.pickle"]


def start_worker(config: Config) -> None:
    manager = prepare(config, mode="worker")
    task_application(manager, "the test")
    refuse_open_applications(manager)


@pytest.mark.parametrize("start", [start_api, start_worker, serve_flower])
def test_formats_that_code_of_a_plugin_has_set_are_refused(
    project: Project, start: Callable[[Config], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa.serve.worker.run_celery", lambda *_: None)
    project.plugin(
        "jobs.py",
        """
        from opa import Hook, task

        @task
        def noop(): ...

        class Formats(Hook):
            name = "driver.celery.setup"

            def run(self, celery_app):
                celery_app.conf.accept_content = ["json", "pickle"]
                return celery_app
        """,
    )
    project.component("celery", "celery", BROKER_URL=f"redis://:{KEY}@127.0.0.1:1/1", BACKEND_URL="redis://127.0.0.1:1")

    with pytest.raises(OpenDoorsError, match=r"^deploy\.pickle: .*setting accept_content of Celery"):
        start(project.config())


OF_A_HOOK = """
    from celery import Celery
    from opa import Hook, task
    {task}
    class Setup(Hook):
        name = "driver.celery.setup"

        def run(self, celery_app):
            conf = celery_app.conf
            {body}
"""


@pytest.mark.parametrize("task", ["@task\n    def noop(): ...\n", "..."])
@pytest.mark.parametrize(
    ("body", "id_", "problem"),
    [
        ("return Celery(broker='amqp://one')", "component-password", "guest is sent"),
        ("conf.result_backend = 'redis://:redis@r'; return celery_app", "component-password", "everyone knows"),
        (
            "conf.broker_transport_options['x'] = {'password': 'redis'}; return celery_app",
            "component-password",
            "knows",
        ),
        ("return Celery(broker=conf.broker_url, accept_content=['pickle'])", "pickle", "accepts pickle"),
    ],
)
def test_what_a_hook_has_made_of_celery_is_looked_at(
    project: Project, body: str, id_: str, problem: str, task: str
) -> None:
    project.plugin("jobs.py", OF_A_HOOK.format(body=body, task=task))
    redis = f"redis://:{KEY}@127.0.0.1:1"
    project.component("celery", "celery", load="yes", BROKER_URL=f"{redis}/1", BACKEND_URL=f"{redis}/2")

    with pytest.raises(OpenDoorsError, match=rf"^deploy.{id_}: .*{problem}"):
        start_api(project.config())


def test_a_hook_that_changes_nothing_of_it_is_no_finding(project: Project) -> None:
    project.plugin("jobs.py", OF_A_HOOK.format(body="return celery_app", task="@task\n    def noop(): ...\n"))
    redis = "redis://:redis@127.0.0.1:1"
    project.component("celery", "celery", BROKER_URL=f"{redis}/1", BACKEND_URL=f"{redis}/2")
    manager = project.prepare()

    assert len(list(component_passwords(Deployment(manager, {})))) == 2
    assert list(passwords_of_applications(manager, {})) == []


def test_pickle_that_code_has_turned_on_where_nothing_says_what_is_accepted_is_found(project: Project) -> None:
    project.plugin("jobs.py", OF_A_HOOK.format(body="return celery_app", task="@task\n    def noop(): ...\n"))
    redis = f"redis://:{KEY}@127.0.0.1:1"
    project.component("celery", "celery", BROKER_URL=f"{redis}/1", BACKEND_URL=f"{redis}/2")
    project.settings(CELERY_ACCEPT_CONTENT=None)
    manager = project.prepare()
    assert list(unsafe_formats_in_applications(manager, "api")) == []

    enable_insecure_serializers(["pickle"])
    try:
        assert len(list(unsafe_formats_in_applications(manager, "api"))) == 1
    finally:
        disable_insecure_serializers()


@pytest.mark.parametrize(("env", "is_warned"), [("", True), ("dev", False)])
def test_without_a_name_in_env_passwords_that_everyone_knows_are_one_warning(
    project: Project, env: str, is_warned: bool, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    project.component("cache", "any", URL="redis://:redis@cache")
    project.component("store", "any", URL=f"mongodb://a:{KEY}@db", PASSWORD="mongo")
    monkeypatch.setenv("ENV", env)

    assert doors(project) == []
    warn_of_known_passwords(project.config(), {}, "api")

    expected = ["passwords that everyone knows: component 'cache', component 'store'"] * is_warned
    assert [line.partition(".")[0] for line in said] == expected


def test_a_warning_of_passwords_is_accepted_with_a_reason(
    project: Project, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    project.component("cache", "any", URL="redis://:redis@cache")
    project.settings(CHECK_SILENCED={"deploy.component-password": "a laptop"})
    monkeypatch.setenv("ENV", "")

    warn_of_known_passwords(project.config(), {}, "api")

    assert said == []


def test_a_server_that_is_not_there_is_no_open_door(
    project: Project, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    project.component("cache", "any", load="auto", URL="redis://:redis@nowhere.invalid")
    project.component("store", "any", load="auto", URL="postgresql://opa:opa@localhost/opa")
    assert doors(project) == ["deploy.component-password"]
    monkeypatch.setenv("ENV", "")
    warn_of_known_passwords(project.config(), {}, "api")
    assert [line.partition(".")[0] for line in said] == ["passwords that everyone knows: component 'store'"]


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_FAIL])
def test_a_server_of_which_nobody_knows_whether_it_is_there_is_an_open_door(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*_: object) -> None:
        raise socket.gaierror(number, "the resolver is not there")

    project.component("cache", "any", load="auto", URL="redis://:redis@nowhere.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert doors(project) == ["deploy.component-password"]

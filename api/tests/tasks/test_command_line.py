from __future__ import annotations

from typing import Any

import click
import pytest
from celery import Celery

from opa.tasks.command_line import run_command


class Ran:
    """Stands for a worker or a beat, and keeps the options that it is made with."""

    given: dict[str, Any]
    exitcode: int | None = None

    def __init__(self, **options: Any) -> None:
        Ran.given = options

    def start(self) -> None:
        """Return at once."""

    run = start


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    for variable in ("BROKER_URL", "RESULT_BACKEND", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    app: Any = Celery("app", set_as_current=False)
    app.conf.worker_concurrency, app.conf.worker_pool = 5, "threads"
    app.Worker = app.Beat = Ran
    return app


@pytest.mark.parametrize(
    "words",
    [
        "worker",
        "worker -c 3 -Q math,celery -n us@here -E",
        "worker --pool=solo --autoscale=4,2 --without-gossip --prefetch-multiplier 7 --time-limit=2.5",
        "worker -l debug -P prefork --max-tasks-per-child 9 --statedb /tmp/state --pidfile /tmp/%n.pid",
        "beat",
        "beat --max-interval 5 -l INFO -s /tmp/schedule",
    ],
)
def test_a_command_is_given_what_the_whole_command_line_gives_it(app: Any, words: str) -> None:
    run_command(app, words.split())
    alone = Ran.given
    app.start(words.split())
    assert alone == Ran.given


@pytest.mark.parametrize("words", [["worker", "--nope"], ["worker", "-c", "many"], ["nothing"]])
def test_unknown_words_of_a_command_line_are_refused_as_by_the_whole_one(app: Any, words: list[str]) -> None:
    with pytest.raises(click.ClickException) as refused:
        run_command(app, words)
    with pytest.raises(click.ClickException) as by_whole:
        app.start(words)
    assert type(refused.value) is type(by_whole.value)
    assert refused.value.message == by_whole.value.message


def test_an_option_that_a_plugin_has_added_is_taken(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.bin.worker import worker

    monkeypatch.setattr(worker, "params", [*worker.params])
    app.user_options["worker"].add(click.Option(["--shelf"]))
    run_command(app, ["worker", "--shelf", "upper"])
    assert Ran.given["shelf"] == "upper"


def test_the_exit_status_of_a_worker_is_that_of_the_command(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ran, "exitcode", 3)
    assert run_command(app, ["worker"]) == 3


def test_the_broker_is_that_of_the_settings_whatever_a_variable_of_others_says(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.setenv("BROKER_URL", "redis://of-another-program")
    app.conf.broker_url = "redis://ours"
    run_command(app, ["worker"])
    assert app.conf.broker_url == "redis://ours"

"""The dead letters for plugins: `opa.DeadLetters`, on RabbitMQ and on redis alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kombu import Producer

from opa import DeadLetters, OpaError, get_plugin_manager
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from tests.project import Project
from tests.tasks.dead_letters.test_letters import JOBS, letters, refuse, sending
from tests.tasks.waiting import waiting
from tests.tasks.workers import TaskProject, task_project


def test_pages_have_the_letters_in_order_and_one_is_found_sent_again_or_dropped(any_tasks: TaskProject) -> None:
    any_tasks.plugin("jobs.py", JOBS)
    with sending(any_tasks) as app:
        ids = [any_tasks.module("jobs").good.delay(number).id for number in range(5)]
        refuse(app, 5)
        dead = DeadLetters(get_plugin_manager())

        async def look() -> None:
            pages = [await dead.page(start, 2) for start in (0, 2, 4, 6)]
            assert [[letter.id for letter in page.letters] for page in pages] == [ids[:2], ids[2:4], ids[4:], []]
            assert {page.total for page in pages} == {await dead.count()} == {5}
            found = await dead.get(ids[3])
            assert found is not None
            assert (found.task, found.arguments, found.reason) == ("jobs.good", "(3,)", "rejected")
            assert await dead.get("nobody") is None

            outcomes = await asyncio.gather(*(dead.drop(ids[1]) for _ in range(5)), return_exceptions=True)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadLetter", *["LetterGoneError"] * 4]
            outcomes = await asyncio.gather(*(dead.send_again(ids[2]) for _ in range(5)), return_exceptions=True)
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadLetter", *["LetterGoneError"] * 4]
            with pytest.raises(OpaError, match="nobody is not among the dead letters"):
                await dead.send_again("nobody")

        asyncio.run(look())
        assert [letter.id for letter in letters(app)] == [ids[0], *ids[3:]]
        assert waiting(any_tasks.broker, "celery") == [ids[2]]


def test_what_no_worker_can_read_is_shown_and_dropped_and_stays_where_it_would_be_sent_again(
    any_tasks: TaskProject,
) -> None:
    any_tasks.plugin("jobs.py", JOBS)
    with sending(any_tasks) as app:
        any_tasks.module("jobs").good.delay(1)
        with app.connection_for_write() as connection:
            Producer(connection).publish({"no": "task"}, routing_key="celery")
        refuse(app, 2)
        dead = DeadLetters(get_plugin_manager())

        async def look() -> Any:
            odd = next(letter for letter in (await dead.page()).letters if not letter.task)
            assert await dead.get(odd.id) == odd
            with pytest.raises(OpaError, match="stays, since it names no task"):
                await dead.send_again(odd.id)
            return await dead.drop(odd.id)

        assert asyncio.run(look()).id.startswith("sha256:")
        assert [letter.task for letter in letters(app)] == ["jobs.good"]


def test_a_letter_that_was_taken_out_of_the_list_meanwhile_is_neither_sent_nor_dropped(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", JOBS)
    with sending(tasks) as app:
        sent = tasks.module("jobs").good.delay(1).id
        refuse(app)
        from opa.tasks.dead_letters.letters import LetterGoneError
        from opa.tasks.dead_letters.reader import dead_letters

        with app.connection_for_write() as connection, dead_letters(app) as held:
            one = next(held)
            channel: Any = connection.default_channel
            assert channel.client.delete(DEAD_LETTER_QUEUE) == 1
            for act in (one.send_again, one.drop):
                with pytest.raises(LetterGoneError, match=sent):
                    act()
        assert waiting(tasks.broker, "celery") == []


def test_a_broker_that_does_not_answer_is_an_error_that_says_so(project: Project) -> None:
    with task_project(project, broker="redis://:hunter2@127.0.0.1:1/1", backend="redis://127.0.0.1:1/2") as tasks:
        tasks.plugin("jobs.py", JOBS)
        project.prepare()
        with pytest.raises(OpaError, match=r"the broker redis://:\*\*\*@127.0.0.1:1/1 does not answer"):
            asyncio.run(DeadLetters(get_plugin_manager()).count())

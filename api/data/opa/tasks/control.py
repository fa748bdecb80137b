"""What sends commands to the workers and hears their answers, which anyone who reaches the broker can forge."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from celery.app import control
from kombu import Consumer

from opa._compat.kombu import Mailbox as CompatMailbox
from opa.logging.logger import log

LONGEST = 10
"""How many times the time for an answer is listened for in all, where one comes after another."""
MOST = 10_000
"""Answers to one command."""
MAX_ID = 255
"""Characters of the id of a task that was revoked."""
MAX_IDS = 50_000
"""The most that Celery itself keeps."""


class Mailbox(CompatMailbox):
    """Kombu's, which hears no answer that is none, and does not listen for ever."""

    clock: Any

    def collect(
        self,
        ticket: str,
        *,
        limit: int | None = None,
        timeout: float | None = 1,
        callback: Any = None,
        channel: Any = None,
        accept: Any = None,
    ) -> list[Any]:
        """The answers to a command: each is a dict with the name of the worker.

        Args:
            ticket: of the command, which its answers repeat.
            limit: how many there may be; None for as many as come in time.
            timeout: seconds to wait for the next one.
            callback: is called with each.
            channel: to hear them on.
            accept: the content types of answers.
        """
        connection: Any = self.connection
        channel = channel or connection.default_channel
        queue = self.reply_queue
        answers: list[Any] = []

        def hear(body: Any, message: Any) -> None:
            self.clock.adjust(message.headers.get("clock") or 0)
            if message.headers.get("ticket", ticket) != ticket:
                return
            if not isinstance(body, dict) or not all(isinstance(worker, str) for worker in body):
                drop(message, None)
                return
            if callback:
                callback(body)
            answers.append(body)

        def drop(_message: Any, error: Exception | None) -> None:
            why = f"it cannot be read ({type(error).__name__})" if error else "it is not of a worker"
            log.warning(f"an answer to a command is dropped: {why}")

        consumer = Consumer(
            channel,
            [queue],
            callbacks=[hear],
            on_decode_error=drop,
            accept=self.accept if accept is None else accept,
            no_ack=True,
        )
        until = time.monotonic() + LONGEST * timeout if timeout else None
        most = limit or MOST
        try:
            with consumer:
                while len(answers) < most and (until is None or time.monotonic() < until):
                    connection.drain_events(timeout=timeout)
        except TimeoutError:
            pass
        finally:
            channel.after_reply_message_received(queue.name)
        return answers


class Inspect(control.Inspect):
    """Celery's questions to its workers."""

    def hello(self, from_node: str, revoked: Any = None) -> Any:
        """What the other workers know, for one that starts; what is none of theirs is left out."""
        answers = super().hello(from_node, revoked) or {}
        return {worker: told for worker, told in answers.items() if told is None or _is_greeting(told)}


class Control(control.Control):
    """Celery's commands to its workers."""

    Mailbox = Mailbox

    @cached_property
    def inspect(self) -> Any:
        """The class of questions to workers."""
        return self.app.subclass_with_self(Inspect, reverse="control.inspect")


def _is_greeting(told: Any) -> bool:
    revoked = told.get("revoked") if isinstance(told, dict) else None
    return (
        isinstance(told, dict)
        and isinstance(revoked, list | None)
        and len(revoked or ()) <= MAX_IDS
        and all(isinstance(each, str) and len(each) <= MAX_ID for each in revoked or ())
    )

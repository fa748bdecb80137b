"""The connection to RabbitMQ."""

from __future__ import annotations

from opa.tasks.brokers.rabbitmq import Connection


def test_a_connection_that_was_given_up_is_not_made_anew_to_end_its_calls() -> None:
    Connection("127.0.0.1:1", connect_timeout=1).let_go()

from __future__ import annotations

import logging

import pytest
from amqp.exceptions import ConsumerCancelled
from celery.worker import loops
from kombu.asynchronous import Hub
from kombu.asynchronous.timer import Timer
from kombu.transport.pyamqp import Transport

from opa.tasks.worker.reconnects import Reconnects

LOGGER = logging.getLogger(loops.__name__)
FORESEEN = (*Transport.connection_errors, *Transport.channel_errors)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(LOGGER, "propagate", True)
    monkeypatch.setattr(LOGGER, "filters", [])
    return caplog


def reset_after(error: Exception) -> None:
    """What Celery's event loop does when its connection is lost, while a read of that connection is yet to run."""
    hub = Hub(timer=Timer())

    def read() -> None:
        raise error

    hub.call_soon(read)
    try:
        hub.reset()
    except Exception as caught:
        LOGGER.exception("Error cleaning up after event loop: %r", caught)  # noqa: TRY401 - as Celery does
    finally:
        hub.close()


def test_data_read_while_a_lost_connection_is_cleaned_up_are_no_unexpected_error(
    logged: pytest.LogCaptureFixture,
) -> None:
    Reconnects(FORESEEN)
    # The virtual host was deleted: RabbitMQ cancels each consumer, also of the channels that are still open.
    reset_after(ConsumerCancelled("None15"))
    assert not [record for record in logged.records if record.levelno >= logging.WARNING]


def test_any_other_error_of_the_event_loop_is_logged_with_its_traceback(logged: pytest.LogCaptureFixture) -> None:
    Reconnects(FORESEEN)
    reset_after(RuntimeError("not of the connection"))
    [record] = [record for record in logged.records if record.levelno >= logging.WARNING]
    assert record.exc_info
    assert "not of the connection" in record.getMessage()

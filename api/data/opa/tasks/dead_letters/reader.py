"""Read the dead letters of a broker, to look at them, to send them again, or to drop them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kombu.exceptions import OperationalError

from opa._util.masking.secrets import mask_text
from opa.errors import StartError
from opa.tasks.dead_letters import rabbitmq, redis
from opa.tasks.dead_letters.letters import Held

if TYPE_CHECKING:
    from opa.tasks.application import TaskApplication


@contextmanager
def dead_letters(app: TaskApplication, start: int = 0, most: int | None = None) -> Iterator[Iterator[Held]]:
    """The dead letters that there are at this moment, the oldest first; held until the end of the `with` block.

    Args:
        start: how many are left out.
        most: how many are taken from RabbitMQ, which does not keep their order if that is less than there are.

    Raises:
        StartError: the broker does not answer, or is of a kind that keeps none.
    """
    with _connected(app) as connection, closing(_reader(app, connection, start, most)) as found:
        yield found


def dead_letter_count(app: TaskApplication) -> int:
    """How many dead letters there are.

    Raises:
        StartError: the broker does not answer, or is of a kind that keeps none.
    """
    with _connected(app) as connection:
        return rabbitmq.message_count(connection) if _is_rabbitmq(connection) else redis.message_count(connection)


@contextmanager
def _connected(app: TaskApplication) -> Iterator[Any]:
    connection: Any
    with app.connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=app.conf.broker_connection_timeout)
            yield connection
        except (OperationalError, *connection.recoverable_connection_errors) as error:
            raise StartError(
                f"the broker {connection.as_uri()} does not answer: {mask_text(str(error))}",
                where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL",
                hint="Start it, or fix BROKER_URL",
            ) from None


def _reader(app: TaskApplication, connection: Any, start: int, most: int | None) -> Generator[Held]:
    if not _is_rabbitmq(connection):
        return redis.listed_messages(connection, app.limits, start)
    return rabbitmq.held_messages(connection, app.delivery_limit, app.limits, start, most)


def _is_rabbitmq(connection: Any) -> bool:
    kind = connection.transport.driver_type
    if kind not in {"amqp", "redis"}:
        raise StartError(
            f"there are no dead letters on a broker of the kind '{kind}'",
            where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL",
            hint="RabbitMQ and redis keep them",
        )
    return bool(kind == "amqp")

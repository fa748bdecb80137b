"""Read the dead letters of a broker, to look at them, to send them again, or to drop them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from kombu.exceptions import OperationalError

from opa._util.masking.secrets import mask_text
from opa.errors import StartError
from opa.tasks.dead_letters.letters import Held
from opa.tasks.dead_letters.rabbitmq import held_messages
from opa.tasks.dead_letters.redis import listed_messages

if TYPE_CHECKING:
    from opa.tasks.application import TaskApplication


@contextmanager
def dead_letters(app: TaskApplication) -> Iterator[Iterator[Held]]:
    """The dead letters that there are at this moment, the oldest first; held until the end of the `with` block.

    Raises:
        StartError: the broker does not answer, or is of a kind that keeps none.
    """
    connection: Any
    with app.connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=app.conf.broker_connection_timeout)
            with closing(_reader(app, connection)) as found:
                yield found
        except (OperationalError, *connection.recoverable_connection_errors) as error:
            raise StartError(
                f"the broker {connection.as_uri()} does not answer: {mask_text(str(error))}",
                where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL",
                hint="Start it, or fix BROKER_URL",
            ) from None


def _reader(app: TaskApplication, connection: Any) -> Generator[Held]:
    if connection.transport.driver_type == "amqp":
        return held_messages(connection, app.delivery_limit, app.limits)
    if connection.transport.driver_type == "redis":
        return listed_messages(connection, app.limits)
    raise StartError(
        f"there are no dead letters on a broker of the kind '{connection.transport.driver_type}'",
        where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL",
        hint="RabbitMQ and redis keep them",
    )

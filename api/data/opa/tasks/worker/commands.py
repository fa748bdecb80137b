"""The commands that anyone who reaches the broker can send to all workers, and how a worker runs them.

Celery takes them as they come. Here those whose values make no sense are refused, as `command_rules` says.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from typing import Any

from celery.worker import control
from kombu.pidbox import Node as KombuNode

from opa._util.masking.secrets import mask_text
from opa.logging.logger import log
from opa.tasks.brokers.queues import are_names
from opa.tasks.worker.command_rules import RefusedError, check_arguments, check_envelope, shown
from opa.tasks.worker.revoke import revoke, terminate

OWN: dict[str, Callable[..., Any]] = {"revoke": revoke, "terminate": terminate}
"""What is run in place of Celery's."""


class Node(KombuNode):
    """What runs the commands in a worker. One that is refused is a line of the log, and the worker goes on."""

    state: Any
    mailbox: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.handlers: Any = ChainMap(OWN, self.handlers)  # Celery's are filled by plugins

    def handle_message(self, body: Any, message: Any = None) -> Any:
        """Run the command, if it is for this worker."""
        try:
            check_envelope(body)
        except RefusedError as error:
            method = body.get("method") if isinstance(body, dict) else None
            log.warning(f"the command {shown(method)} is refused: {error}")
            return None
        return super().handle_message(body, message)

    def handle(self, method: Any, arguments: Any = None) -> Any:
        """Called with the name of a command and its arguments; gives what is answered."""
        try:
            run = self.handlers.get(method)
            if run is None:
                raise RefusedError("there is no such command")
            check_arguments(run, method, arguments or {}, self.state)
            return self._run(run, method, arguments)
        except RefusedError as error:
            log.warning(f"the command {method} is refused: {error}")
            return {"error": str(error)}

    def _run(self, run: Callable[..., Any], method: str, arguments: Any) -> Any:
        try:
            return super().handle(method, arguments)
        except Exception as error:
            if run.__module__ not in (control.__name__, *(own.__module__ for own in OWN.values())):
                raise  # a plugin's own, whose author wants to know where
            raise RefusedError(f"{type(error).__name__}: {mask_text(str(error))}") from error

    def reply(self, data: Any, exchange: Any, routing_key: Any, ticket: Any, **options: Any) -> None:
        """Answer, to the exchange for answers alone: another may be of another kind, or lead to a queue of tasks."""
        if exchange == self.mailbox.reply_exchange.name and are_names(routing_key, ticket):
            super().reply(data, exchange, routing_key, ticket, **options)
        else:
            log.warning(
                f"a command asks for an answer to {shown(exchange)}, which is not where answers go: it gets none"
            )

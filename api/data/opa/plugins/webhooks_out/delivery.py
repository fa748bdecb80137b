"""The task that posts the events of one webhook, and tries again for more than a day."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from opa import Event, OpaError, WebhookAnswer, config, log, post_webhook
from opa.events import handles
from opa.plugins.webhooks_out.silence import Silence

PAUSES = (5, 300, 1800, 7200, 18_000, 36_000, 36_000)
"""Seconds before the second try and each further one: 28 hours, in steps as Standard Webhooks suggests them."""
JITTER = 0.1
"""The part of a pause by which it may be longer: what has failed together is not to come back together."""
LONGEST_IN_WORKER = 600.0
"""Seconds that a task waits at most where it waits in the memory of a worker, which then sends it on."""
GONE = 410

_UNLIMITED = 1_000_000


class NotTakenError(OpaError):
    """A receiver has not taken an event."""


def deliver_to(name: str, options: Mapping[str, Any]) -> None:
    """Make the task of a webhook.

    Args:
        name: its key in WEBHOOKS_OUT.
        options: what stands there.
    """
    silence = Silence()

    # The limit keeps a receiver that is slow from holding all processes of a worker.
    @handles(*options["ON"], name=f"webhooks_out.{name}", bind=True, max_retries=_UNLIMITED, concurrency=1)
    async def deliver(self: Any, event_message: dict[str, Any], tries: int = 0, rest: float = 0.0) -> None:
        event = Event.from_message(event_message)
        if rest > 0:
            wait = countdown_of(self.app, rest)
            raise self.retry(args=[event_message, tries, rest - wait], countdown=wait)
        answer = silence.answer()
        if answer is None:
            began = time.monotonic()
            answer = await _post(options, str(self.request.id), event)
            silence.note(answer, time.monotonic() - began)
        if not answer.problem:
            return
        told = f"the webhook '{name}' has not taken the event '{event.name}' {event.id}: {answer.problem}"
        if answer.status == GONE:
            log.warning(f"{told}. Its receiver wants no more: remove it from WEBHOOKS_OUT")
            return
        error = NotTakenError(told, hint="It can be sent again, from the dead letters")
        if tries >= len(PAUSES):
            raise error
        pause = PAUSES[tries] * (1 + JITTER * random.random())  # noqa: S311 - it is no secret
        pause = max(pause, answer.retry_after or 0)
        wait = countdown_of(self.app, pause)
        raise self.retry(args=[event_message, tries + 1, pause - wait], countdown=wait, exc=error)


async def _post(options: Mapping[str, Any], webhook_id: str, event: Event) -> WebhookAnswer:
    body = json.dumps(
        {"type": event.name, "timestamp": event.emitted_at.isoformat(), "data": event.payload}, separators=(",", ":")
    )
    return await post_webhook(options["URL"], body.encode(), signed(body, webhook_id, options["SECRET"]))


def signed(body: str, webhook_id: str, secrets: list[str]) -> dict[str, str]:
    """The headers of a request, as Standard Webhooks has them.

    Args:
        body: of the request.
        webhook_id: the same for each try.
        secrets: each of them signs.
    """
    from standardwebhooks import Webhook

    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "User-Agent": "opa-stack",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(webhook_id, now, body) for secret in secrets),
    }


def countdown_of(app: Any, seconds: float) -> float:
    """The countdown with which a task is sent that is to wait so long: all of it, or a part."""
    if app.waits_in_broker:
        return seconds
    # Redis gives a task to a second worker that waits longer than TASK_VISIBILITY_TIMEOUT.
    return min(seconds, LONGEST_IN_WORKER, float(config.TASK_VISIBILITY_TIMEOUT) / 3)

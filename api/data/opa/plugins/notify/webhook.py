"""Posts a message to a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opa import post_webhook
from opa.plugins.notify.message import as_body


class NotDeliveredError(Exception):
    """A target has not taken a message.

    Attributes:
        is_final: whether another attempt is of no use.
    """

    def __init__(self, problem: str, *, is_final: bool = False) -> None:
        super().__init__(problem)
        self.is_final = is_final


async def post(url: str, content: Mapping[str, Any]) -> None:
    """Post `content` as JSON.

    Raises:
        NotDeliveredError: the target has not answered with 2xx in time; the message does not have the URL.
    """
    # Without the charset, Teams counts two bytes for each one against its limit.
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "opa-stack"}
    answer = await post_webhook(url, as_body(content), headers)
    if answer.problem:
        # 429 and 5xx may pass; a redirect, a wrong URL or a token that was revoked does not.
        is_final = answer.status is not None and answer.status not in (408, 425, 429) and answer.status < 500
        raise NotDeliveredError(answer.problem, is_final=is_final)

"""The audit log: who has changed what, when and from where: lines of the log and, by the settings, in redis too."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from opa._util.masking.secrets import MASK, looks_secret, mask_text
from opa._util.printable import in_one_line
from opa._util.system_user import system_user
from opa.access.address import host_of
from opa.context import current_context
from opa.core.running import running_manager
from opa.core.threads import on_loop
from opa.errors import NotRunningError
from opa.logging.lines import safe_repr
from opa.logging.logger import log

if TYPE_CHECKING:
    from concurrent.futures import Future

    from loguru import Record
    from starlette.requests import HTTPConnection

    from opa.settings.load import Config

COMPONENT: Final = "aioredis"
"""The component in whose redis the entries are."""
FIELD: Final = "entry"
"""Of the redis stream: an entry as JSON."""
TIME_LIMIT = 5.0
"""Seconds in which redis must have taken an entry."""

_NAME = "opa.audit"
_LEVEL = "AUDIT"
_NUMBER = 60  # above all others: no LOGLEVEL leaves it out
_UNKNOWN = "unknown"
_DEEPEST = 3
"""Lists in lists; what is deeper is shown as a text."""
LONGEST = 1000
"""Characters of a text."""
MOST = 100
"""Fields of an entry, and values of a list."""
MOST_TOGETHER = 10_000
"""Characters of all texts of an entry, and values."""
_CUT = "…"

Entry = Mapping[str, Any]


def audit(what: str, *, who: str | None = None, request: HTTPConnection | None = None, **fields: Any) -> None:
    """Write into the audit log that something was changed. It never raises, and waits for nothing.

    Args:
        what: was done, as `orders.delete`.
        who: did it. By default it is the actor of the request, and outside of requests the user of the system.
        request: for which this code runs; it says from where. Not needed where something has required an actor.
        **fields: say more, by names of your own. What looks secret by its name or shape is masked. Of a text 1000
            characters stay, of a list 100 values, and 10000 characters of all together.
    """
    entry = entry_of(what, who, request, fields)
    write_line(entry)
    try:
        manager: Any = running_manager()
    except NotRunningError:
        return
    if not is_in_redis(manager.config):
        return
    component = manager.optional_components.get(COMPONENT)
    if component is None:
        _warn(entry, f"component '{COMPONENT}' is not connected")
        return

    def tell(done: Future[Any]) -> None:
        if done.cancelled():
            _warn(entry, "the process stops")
        elif (error := done.exception()) is not None:
            _warn(entry, f"{type(error).__name__}: {error}")

    try:
        write = write_to_redis(component.get_instance(), manager.config, entry)
        on_loop(write, component.breaker.loop).add_done_callback(tell)
    except Exception as error:  # noqa: BLE001 - what is written about is done already
        _warn(entry, f"{type(error).__name__}: {error}")


def entry_of(
    what: str, who: str | None = None, request: HTTPConnection | None = None, fields: Mapping[str, Any] | None = None
) -> Entry:
    """An entry: plain values, without secrets."""
    context = current_context.get()
    address = context.address if request is None else host_of(request)
    actor = context.actor
    if who is None:
        who = actor.id if actor is not None else system_user() if address is None else _UNKNOWN
    plain = _Plain()
    known = {
        "who": plain.of("", who),
        "what": plain.of("", what),
        "when": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "from": socket.gethostname() if address is None else plain.of("", address or _UNKNOWN),
    }
    more = ((name, value) for name, value in (fields or {}).items() if name not in known)
    return known | {name[:MOST]: plain.of(name, value) for name, value in islice(more, MOST)}


def write_line(entry: Entry) -> None:
    """Write the entry into the log of the process, whatever its level."""

    def complete(line: Record) -> None:
        line["name"] = _NAME
        line["extra"].update(entry)

    with suppress(ValueError):  # it is known
        logger.level(_LEVEL, no=_NUMBER, color="<bold>")
    text = f"{entry['who']} from {entry['from']}: {entry['what']}"
    logger.patch(complete).opt(depth=2).log(_LEVEL, in_one_line(text))


def is_in_redis(config: Config) -> bool:
    """Whether entries go to redis too."""
    return bool(config.AUDIT_LOG == "redis")


def stream_of(config: Config) -> str:
    """The key of the redis stream."""
    return f"opa:{config.PROJECT_ID or config.PROJECT_NAME}:audit"


async def write_to_redis(client: Any, config: Config, entry: Entry) -> None:
    """Add the entry to the stream, whose oldest ones make room.

    Raises:
        redis.RedisError: redis does not take it.
        TimeoutError: it did not answer in time.
    """
    async with asyncio.timeout(TIME_LIMIT):
        await client.xadd(stream_of(config), {FIELD: json.dumps(entry)}, maxlen=config.AUDIT_LOG_LENGTH)


def _warn(entry: Entry, reason: str) -> None:
    log.warning("an entry of the audit log ({}) is in the log alone, not in redis: {}", entry["what"], reason)


class _Plain:
    """Values as JSON has them, without secrets, and of all of an entry no more than fits into a line."""

    def __init__(self) -> None:
        self._left = MOST_TOGETHER

    def of(self, name: str, value: Any, depth: int = 0) -> Any:
        """A value of the field `name`; its beginning, where it is too long."""
        if value is None or isinstance(value, bool):
            return value
        if name and looks_secret(name):
            return MASK
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int | float) and _is_in_json(value):
            return self._text(str(value)) if len(str(value)) > LONGEST else value
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
            found = []
            for each in islice(value, MOST):
                if self._left <= 0:
                    break
                self._left -= 1
                found.append(self.of("", each, depth + 1))
            return [*found, _CUT] if len(found) < len(value) else found
        return self._text(_short_repr(value))

    def _text(self, text: str) -> str:
        # A secret that the end of this cuts in two is not shown: it is far behind what is.
        most = max(0, min(LONGEST, self._left))
        text = mask_text(text[: 10 * LONGEST])
        self._left -= len(text[:most])
        return text if len(text) <= most else text[:most] + _CUT


def _short_repr(value: Any) -> str:
    """`repr(value)`, of which what is large or deep is left out: all of it may be larger than the memory."""
    short = Repr()
    short.maxlevel = _DEEPEST
    short.maxtuple = short.maxlist = short.maxset = short.maxfrozenset = short.maxdict = MOST
    short.maxstring = short.maxother = short.maxlong = LONGEST
    try:
        return short.repr(value)
    except Exception:  # noqa: BLE001 - a class may have the name of another one
        return safe_repr(value)


def _is_in_json(number: float) -> bool:
    """Not if it is none, is infinite, or has more digits than Python writes."""
    try:
        json.dumps(number, allow_nan=False)
    except ValueError:
        return False
    return True

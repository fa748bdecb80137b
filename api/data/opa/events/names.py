"""Names of events, and the patterns that stand for some of them."""

from __future__ import annotations

import fnmatch
import re

from opa._util.event_patterns import LONGEST
from opa._util.patterns import lazy_pattern
from opa.loading import conventions

EVENT_HANDLERS_GROUP = conventions.EVENT_HANDLERS_GROUP.name
PLUGIN = "core_events"
FAN_OUT = "opa.events.fan_out"
"""The name of the task that sends those of the handlers."""
RELAY = "opa.events.relay"
"""The name of the task that sends the events which were committed; and where a manager keeps what does it."""

_NAME = lazy_pattern(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def is_name(value: object) -> bool:
    """Whether an event may be called so."""
    return isinstance(value, str) and len(value) <= LONGEST and _NAME.fullmatch(value) is not None


def expression(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the names for which the patterns stand."""
    # Without going back to a `*` before the last one, which would take years for some texts with many.
    return re.compile("|".join(map(fnmatch.translate, patterns)))

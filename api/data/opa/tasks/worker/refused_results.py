"""Whether the server of results takes the password of a worker: it is asked before the first result has to wait."""

from __future__ import annotations

from typing import Any

from opa.logging.logger import log
from opa.tasks.brokers.redis_results import CHECK_SETTING, UNKNOWN
from opa.tasks.servers import ask_results


def warn_where_refused(app: Any) -> None:
    """Say that the server of results refuses the password.

    One that is away, or slow, may come until there is a result.
    """
    try:
        ask_results(app)
    except UNKNOWN as error:
        why = f"{type(error).__name__}: {error}"
        log.warning(f"redis refuses to keep the results of this worker ({why}): they will wait. {CHECK_SETTING}")
    except Exception as error:  # noqa: BLE001 - a worker needs no results to begin
        log.debug("Whether the server of results takes the password is not known yet: {}", error)

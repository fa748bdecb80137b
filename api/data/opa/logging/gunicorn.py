"""Gunicorn's logger, for its option `logger_class`: what it and its uvicorn workers say goes into the log."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.glogging import Logger

from opa.logging.standard import InterceptHandler


class LogLogger(Logger):  # type: ignore[misc]
    """Opens no file and writes to no stream of its own; uvicorn's worker takes its handlers over."""

    def setup(self, cfg: Any) -> None:
        """Gunicorn calls this when it starts and when it reads its settings again."""
        super().setup(cfg)
        for own in (self.error_log, self.access_log):
            own.handlers = [InterceptHandler()]
            own.setLevel(logging.NOTSET)  # LOGLEVEL decides

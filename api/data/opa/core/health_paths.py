"""At which paths the health of the process can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.core.settings import Config


def health_paths(config: Config) -> frozenset[str]:
    """The paths of the health routes; each answers with and without the path under which a proxy serves the API.

    Args:
        config: reads `HEALTH_URL`, `READY_URL` and `OPENAPI_PREFIX`.
    """
    urls = [url for url in (config.HEALTH_URL, config.READY_URL) if url]
    return frozenset(prefix + url for url in urls for prefix in ("", config.OPENAPI_PREFIX))

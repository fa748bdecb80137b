"""Load the application that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.http.application import Api
    from opa.settings.load import Config


def load_app(config: Config | None = None) -> Api:
    """`opa.main:app`. Unlike an import of that name it logs no error that it raises.

    Args:
        config: the settings; by default they are loaded anew.

    Raises:
        OpaError: a mistake in settings or plugins.
    """
    from opa import main

    return main.load_app(config)

"""Load the application that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opa.http.application import Api


def load_app() -> Api:
    """`opa.main:app`. Unlike an import of that name it logs no error that it raises.

    Raises:
        OpaError: a mistake in settings or plugins.
    """
    from opa import main

    if "app" not in vars(main):
        main.app = main.start_api()
    return main.app

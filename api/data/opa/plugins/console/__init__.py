"""The console: pages on which the people who run a project see what it does.

It is there in development, and elsewhere if people can sign in. Nothing more is imported where it is not.
"""

from __future__ import annotations

from opa import config, is_development

_can_sign_in = config.USERS or config.OIDC_PROVIDERS or config.PLUGINS.get("authenticators")

if config.CONSOLE_URL and (is_development() or _can_sign_in):
    from importlib.util import find_spec

    from opa import log

    if find_spec("jinja2") is None:
        log.warning(
            "there is no console: Jinja2 is not installed; pip install 'opa-stack[console]', or CONSOLE_URL: null"
        )
    else:
        from opa import register
        from opa.plugins.console.landing import Landing
        from opa.plugins.console.presence import present
        from opa.plugins.console.routes import router
        from opa.plugins.console.start_page import Started

        register("around_process")(present)
        __all__ = ["Landing", "Started", "router"]

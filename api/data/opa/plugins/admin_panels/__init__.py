"""The admin: panels of models, and pages, that plugins register by `opa.admin`, below ADMIN_URL.

It is there where users can sign in, and in development. Nothing more is imported where no plugin has registered
anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opa import Convention, Setup, config, get_plugin_manager, is_development

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_can_sign_in = bool(config.USERS or config.OIDC_PROVIDERS or config.PLUGINS.get("authenticators"))
_is_on = bool(config.ADMIN_URL) and (is_development() or _can_sign_in)


def _checked(_plugin: str, module: ModuleType) -> Iterable[BaseRoute]:
    """No routes: what is wrong with the panels is told when the application is built, as a mistake of their plugin."""
    if _is_on:
        from opa.plugins.admin_panels.building import check_panels

        check_panels(module.__name__.rpartition(".")[0])
    return ()


ADMIN = Convention("admin.py", "imported with the package, so its admin panels are there", routes=_checked)

if _is_on:

    class Admin(Setup):
        """Adds the admin to the application, if a plugin has registered anything."""

        def run(self, app: Any) -> None:
            """Add it, before all routes.

            Raises:
                OpaError: something is wrong with a panel, or the package is not installed.
            """
            groups = get_plugin_manager().groups
            if groups.get("admin_panels") or groups.get("admin_pages"):
                from opa.plugins.admin_panels.building import add_admin

                add_admin(app, can_sign_in=_can_sign_in)

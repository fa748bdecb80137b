"""The admin is made of what plugins have registered, and added to the application."""

from __future__ import annotations

import logging
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opa import OpaError, config, get_plugin_manager
from opa.admin import SQL, Panel, admin_pages, panels

if TYPE_CHECKING:
    from starlette_admin.views import BaseModelView


_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]+)+", re.ASCII)


def need_package(where: str) -> None:
    """See that starlette-admin is installed.

    Raises:
        OpaError: it is not.
    """
    if find_spec("starlette_admin") is None:
        raise OpaError(
            "an admin panel needs the package starlette-admin, which is not installed",
            where=where,
            hint="Install the extra: pip install 'opa-stack[admin]'. An image gets it with"
            " COMPOSE_PROFILES=sql,admin in .env, by docker compose build; ADMIN_URL: null turns the admin off",
        )
    # It says with whose values it does what, and each error that is told anyway.
    logging.getLogger("starlette_admin").setLevel(logging.CRITICAL)


def view_of(panel: Panel, others: list[Panel]) -> BaseModelView:
    """The view of a panel.

    Args:
        panel: is shown.
        others: to which a relation may lead.

    Raises:
        OpaError: something is wrong with it.
    """
    panel.check()
    if panel.kind == SQL:
        from opa.plugins.admin_panels.sql.view import SqlView

        return SqlView(panel, others)
    from opa.plugins.admin_panels.mongo.view import MongoView

    return MongoView(panel)


def check_panels(package: str) -> None:
    """See that the panels that a package has registered can be shown; the views that are made for it are kept.

    Raises:
        OpaError: one cannot.
    """
    every = panels()
    own = [panel for panel in every if f"{panel.module}.".startswith(f"{package}.")]
    for panel in own:
        need_package(panel.where)
        _checked()[panel] = every, view_of(panel, every)


def _checked() -> dict[Panel, tuple[list[Panel], BaseModelView]]:
    """The views that were made to check their panels, each with the panels that there were then."""
    checked: dict[Panel, tuple[list[Panel], BaseModelView]] = get_plugin_manager().kept.setdefault(__name__, {})
    return checked


def _view(panel: Panel, every: list[Panel]) -> BaseModelView:
    """The view that was made to check the panel, so nothing is told twice; a new one, if there are other panels."""
    others, view = _checked().pop(panel, ([], None))
    return view if view is not None and others == every else view_of(panel, every)


def add_admin(app: Any, *, can_sign_in: bool) -> None:
    """Add the admin to the application, before all other routes.

    Args:
        app: the FastAPI application.
        can_sign_in: whether there is anybody who could.

    Raises:
        OpaError: something is wrong with a panel, or with ADMIN_URL.
    """
    every, pages = panels(), admin_pages()
    need_package(next(iter((*(each.where for each in every), *(each.where for each in pages)))))
    url = config.ADMIN_URL.rstrip("/")
    if not url:
        raise OpaError(
            "ADMIN_URL is /, where all other routes are", where=config.source("ADMIN_URL"), hint="Set it to /admin"
        )
    if not _PATH.fullmatch(url):
        raise OpaError(
            f"ADMIN_URL is {config.ADMIN_URL!r}, which is not a path that links can lead to",
            where=config.source("ADMIN_URL"),
            hint="Write a path of letters, digits, hyphens and the like, as /admin or /internal/admin",
        )
    from opa.plugins.admin_panels.serving import Serving
    from opa.plugins.admin_panels.site import Site

    site = Site(url, [_view(panel, every) for panel in every], pages)
    app.router.routes[:0] = Serving(site, url, can_sign_in=can_sign_in).routes()

"""Whether the packages are installed that a component needs, before any of them is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

from opa import OpaError
from opa.plugins.driver_sql.component import Component

OF_DIALECTS: Mapping[str, str] = {
    "postgresql+asyncpg": "asyncpg",
    "postgresql+psycopg": "psycopg",
    "sqlite+aiosqlite": "aiosqlite",
}
"""Those of the extra `sql`, by the scheme of a URL."""
SCHEMES: Mapping[bool, Mapping[str, str]] = {
    True: {
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
        "sqlite": "sqlite+aiosqlite",
    },
    False: {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"},
}
"""What a scheme without a driver stands for, in an asynchronous component and in a synchronous one."""


class NotInstalledError(OpaError, ImportError):
    """A package is not installed that a component needs."""


def scheme_of(component: Component) -> str:
    """The scheme of the URL with its driver; empty without a URL."""
    url = next((str(value) for key, value in component.opts.items() if str(key).upper() == "URL"), "")
    scheme = url.partition(":")[0].lower()
    return SCHEMES[component.is_async].get(scheme, scheme)


def need_packages(component: Component) -> None:
    """See that all of them are there.

    Raises:
        NotInstalledError: one is missing.
    """
    needed = ["sqlalchemy"]
    if component.is_async:
        needed.append("greenlet")
    if (of_dialect := OF_DIALECTS.get(scheme_of(component))) is not None:
        needed.append(of_dialect)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalledError(
            f"the component '{component.component}' needs {' and '.join(missing)}, which"
            f" {'is' if len(missing) == 1 else 'are'} not installed",
            hint="Install the extra: pip install 'opa-stack[sql]'. An image gets it with COMPOSE_PROFILES=sql in .env,"
            " by docker compose build",
        )

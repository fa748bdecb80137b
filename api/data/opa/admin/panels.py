"""What was registered: panels of models, and pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from opa.admin.options import NAMES_OF_FIELDS, ModelAdmin, check_options
from opa.core.running import current_groups, get_plugins
from opa.errors import OpaError
from opa.loading.conventions import ADMIN_PAGES_GROUP, ADMIN_PANELS_GROUP
from opa.settings.load import config

SQL: Final = "sql"
MONGO: Final = "mongo"
_COMPONENTS = {SQL: "sql", MONGO: "mongodb"}
_WRONG_DRIVERS = {
    SQL: ("mongodb", "redis", "celery"),
    MONGO: ("sqlalchemy", "redis", "celery"),
}
"""How the names of those begin that are of another kind."""
_SYNCHRONOUS = {"sqlalchemy": "sqlalchemy-async", "mongodb-pymongo": "mongodb-async-pymongo"}
"""With the driver to take instead: what waits in the event loop would hold up all requests."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_RESERVED = frozenset({"static", "login", "logout"})
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Panel:
    """A model that is shown.

    Args:
        model: of SQLAlchemy, or of Pydantic for the documents of a collection.
        module: of the plugin that has registered it.
        where: `file:line` of that.

    Attributes:
        kind: `SQL` or `MONGO`.
        options: what is said of it.

    Raises:
        OpaError: the model is of no kind of which there are panels.
    """

    def __init__(self, model: type[Any], *, module: str, where: str) -> None:
        self.kind = _kind_of(model, where)
        self.model = model
        self.module = module
        self.where = where
        self.options: type[ModelAdmin] = ModelAdmin
        # The plugin that is skipped takes its panels along.
        self.__module__ = module

    def configure(self, options: type[ModelAdmin], where: str) -> None:
        """Take the options of a class.

        Raises:
            OpaError: an option is of no use, the name is taken, or the component is unknown.
        """
        if not (isinstance(options, type) and issubclass(options, ModelAdmin)):
            raise OpaError(
                f"the options of a panel of {self.model.__name__} are no ModelAdmin",
                where=where,
                hint=f"Write class {self.model.__name__}Admin(admin.ModelAdmin) below @admin.register",
            )
        self.where = where
        check_options(options, where)
        self.options = options
        self.check()

    def check(self) -> None:
        """See that the panel can be there beside the others.

        Raises:
            OpaError: it cannot.
        """
        _check_name(self.name, self.where)
        other = next((each for each in _all() if each is not self and each.name == self.name), None)
        if other is not None:
            raise OpaError(
                f"the admin has '{self.name}' already, by {other.where}",
                where=self.where,
                hint=f'Give one of them another name: name = "{self.name}-2" in its ModelAdmin',
            )
        self._check_component()
        if self.kind == MONGO:
            known = [name for name in getattr(self.model, "model_fields", {}) if name != "id"]
            check_fields(self, [*known, "id"])

    def _check_component(self) -> None:
        components: Mapping[str, Any] = {name.lower(): each for name, each in config.OPTIONAL_COMPONENTS.items()}
        if self.component not in components:
            raise OpaError(
                f"the admin panel '{self.name}' is of the unknown component '{self.component}'",
                where=self.where,
                hint=f'Name one of {", ".join(sorted(components))}: component = "…" in its ModelAdmin',
            )
        driver = str(components[self.component].get("DRIVER", "")).lower()
        if driver in _SYNCHRONOUS or driver.startswith(_WRONG_DRIVERS[self.kind]):
            wanted = _SYNCHRONOUS.get(driver) or {SQL: "sqlalchemy-async", MONGO: "mongodb-async-motor"}[self.kind]
            raise OpaError(
                f"the admin panel '{self.name}' is of the component '{self.component}', whose driver {driver} it"
                " cannot use",
                where=self.where,
                hint=f'Name a component with the driver {wanted}: component = "…" in its ModelAdmin',
            )

    @property
    def name(self) -> str:
        """In its path and in its scopes."""
        return self.options.name or panel_name(self.model)

    @property
    def label(self) -> str:
        """In the navigation."""
        return self.options.label or _plural(_in_words(self.model.__name__))

    @property
    def singular(self) -> str:
        """What one of them is called."""
        return _in_words(self.model.__name__)

    @property
    def component(self) -> str:
        """Whose database it is."""
        return (self.options.component or _COMPONENTS[self.kind]).lower()

    @property
    def collection(self) -> str:
        """Of MongoDB."""
        return self.options.collection or self.name


class AdminPage:
    """A page of a plugin's own.

    Args:
        title: in the navigation and at the top of the page.
        body: gives the HTML of a request.
        name: in its path and its scope.
        scope: what a visitor must have; empty for `admin:NAME:read`.
        icon: before the title.
        where: `file:line` of the function.

    Raises:
        OpaError: the name is none, or is taken.
    """

    def __init__(
        self, title: str, body: Callable[..., Any], *, name: str = "", scope: str = "", icon: str = "", where: str
    ) -> None:
        self.title, self.body, self.scope, self.icon, self.where = title, body, scope, icon, where
        self.name = name or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        self.__module__ = getattr(body, "__module__", "")
        _check_name(self.name, where)
        other = next((each for each in _all() if each.name == self.name), None)
        if other is not None:
            raise OpaError(
                f"the admin has '{self.name}' already, by {other.where}",
                where=where,
                hint=f'Give the page another name: @admin.page("{title}", name="…")',
            )


def check_fields(panel: Panel, known: list[str]) -> None:
    """See that the options of a panel name fields that there are.

    Raises:
        OpaError: they name another.
    """
    for option in NAMES_OF_FIELDS:
        for name in getattr(panel.options, option) or ():
            if name.removeprefix("-" if option == "ordering" else "") not in known:
                raise OpaError(
                    f"'{option}' of the admin panel '{panel.name}' names '{name}', which {panel.model.__name__} has"
                    " not",
                    where=panel.where,
                    hint=f"It has {', '.join(known)}",
                )


def panel_name(model: type[Any]) -> str:
    """The name of a panel that is given none: `order-line` for `OrderLine`."""
    return "-".join(_WORDS.sub(" ", model.__name__).lower().replace("_", " ").split())


def panels() -> list[Panel]:
    """Those of the loaded plugins."""
    return list(get_plugins(ADMIN_PANELS_GROUP.name).values())


def admin_pages() -> list[AdminPage]:
    """Those of the loaded plugins."""
    return list(get_plugins(ADMIN_PAGES_GROUP.name).values())


def _all() -> list[Any]:
    groups = current_groups()
    return [*groups.get(ADMIN_PANELS_GROUP.name).values(), *groups.get(ADMIN_PAGES_GROUP.name).values()]


def _kind_of(model: Any, where: str) -> str:
    if isinstance(model, type):
        if hasattr(model, "model_fields") and not hasattr(model, "__table__"):
            return MONGO
        if hasattr(model, "__mapper__"):
            return SQL
    raise OpaError(
        f"@admin.register takes a model of SQLAlchemy or of Pydantic, and {getattr(model, '__name__', repr(model))} is"
        " neither",
        where=where,
        hint="Give it a mapped class with a table and a primary key, or a BaseModel of the documents of a collection",
    )


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise OpaError(
            f"{name!r} can be no name of an admin panel or page",
            where=where,
            hint='Give it one of lower-case letters, digits and hyphens: name = "order-lines"',
        )


def _in_words(name: str) -> str:
    return _WORDS.sub(" ", name).replace("_", " ").capitalize()


def _plural(text: str) -> str:
    if text.endswith("y") and text[-2:-1] not in "aeiou":
        return f"{text[:-1]}ies"
    return f"{text}es" if text.endswith(("s", "x", "ch", "sh")) else f"{text}s"

"""What can be said of a panel, as class attributes by the names that Django has for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from opa._util.suggestions import nearest
from opa._util.words import kind_of
from opa.errors import OpaError

MOST_ON_A_PAGE = 500


class ModelAdmin:
    """The options of a panel. Subclass it below `@admin.register(Model)`; what is left out has a default.

    Attributes:
        name: of the panel in its path and its scopes: lower-case letters, digits and hyphens. By default that of the
            model, `order-line` for `OrderLine`.
        label: of the panel in the navigation; by default the name of the model in words, in the plural.
        icon: before the label, a class of Font Awesome such as `fa-solid fa-book`.
        component: whose database it is; by default `sql`, or `mongodb` for a Pydantic model.
        collection: of MongoDB, for a Pydantic model; by default the name of the panel.
        fields: that are shown and can be edited, in this order; by default all.
        exclude: fields that are neither shown nor edited.
        readonly_fields: fields that are shown and cannot be edited.
        secret_fields: fields whose values are never shown, and can be replaced. Those whose name says that they are
            secret, such as `password`, are anyway.
        list_display: fields in the list; by default all.
        list_filter: fields by which the list can be filtered; by default all that are in it.
        search_fields: fields with texts in which a search looks; by default all that are in the list.
        ordering: by which fields the list is sorted at first, with `-` before what is descending.
        list_per_page: rows on a page of the list.
        schema: a Pydantic model, which validates what is entered for a model of SQLAlchemy.
        can_create: whether anybody may create one here.
        can_edit: whether anybody may edit one here.
        can_delete: whether anybody may delete one here.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    icon: ClassVar[str] = ""
    component: ClassVar[str] = ""
    collection: ClassVar[str] = ""
    fields: ClassVar[Sequence[str]] = ()
    exclude: ClassVar[Sequence[str]] = ()
    readonly_fields: ClassVar[Sequence[str]] = ()
    secret_fields: ClassVar[Sequence[str]] = ()
    list_display: ClassVar[Sequence[str]] = ()
    list_filter: ClassVar[Sequence[str] | None] = None
    search_fields: ClassVar[Sequence[str] | None] = None
    ordering: ClassVar[Sequence[str]] = ()
    list_per_page: ClassVar[int] = 25
    schema: ClassVar[Any] = None
    can_create: ClassVar[bool] = True
    can_edit: ClassVar[bool] = True
    can_delete: ClassVar[bool] = True


_OPTIONS = {name: value for name, value in vars(ModelAdmin).items() if not name.startswith("_")}
NAMES_OF_FIELDS = (
    *("fields", "exclude", "readonly_fields", "secret_fields"),
    *("list_display", "list_filter", "search_fields", "ordering"),
)
"""The options that name fields."""


def check_options(options: type[ModelAdmin], where: str) -> None:
    """See that a class has known options only, and each with a value that it can have.

    Raises:
        OpaError: it has; the message names it.
    """
    given = {name for cls in options.__mro__ if issubclass(cls, ModelAdmin) for name in vars(cls)}
    for name in sorted(name for name in given if not name.startswith("_")):
        if name not in _OPTIONS:
            close = nearest(name, _OPTIONS)
            raise _error(
                f"{options.__name__} has '{name}', which is not an option of a ModelAdmin",
                where,
                f"Did you mean '{close}'?" if close else f"There are {', '.join(_OPTIONS)}",
            )
        value = getattr(options, name)
        problem = _problem(name, value)
        if problem:
            raise _error(f"'{name}' of {options.__name__} is {_shown(value)}", where, problem)


def _problem(name: str, value: Any) -> str:
    """What to write instead; empty where the value fits."""
    default = _OPTIONS[name]
    if name in NAMES_OF_FIELDS:
        fits = isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)
        return "" if fits or (value is None and default is None) else f'Write a list of names: {name} = ["title"]'
    if name == "list_per_page":
        fits = type(value) is int and 1 <= value <= MOST_ON_A_PAGE
        return "" if fits else f"Write a number from 1 to {MOST_ON_A_PAGE}"
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "Write True or False"
    if name == "schema":
        fits = value is None or (isinstance(value, type) and hasattr(value, "model_fields"))
        return "" if fits else "Give a class of Pydantic's BaseModel"
    return "" if isinstance(value, str) else "Write a text"


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | bool) else kind_of(value)


def _error(problem: str, where: str, hint: str) -> OpaError:
    return OpaError(problem, where=where, hint=hint)

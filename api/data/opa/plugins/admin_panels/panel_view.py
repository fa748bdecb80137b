"""What panels of all kinds have in common: who may do what, what is entered, and what stands in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette_admin.exceptions import FormValidationError
from starlette_admin.fields import BaseField, BooleanField, EnumField, RelationField
from starlette_admin.types import RequestAction
from starlette_admin.views import BaseModelView

from opa import OpaError, audit
from opa.admin import Panel
from opa.plugins.admin_panels.fields import ChoiceField, SecretField, encodable, former_choices, shortened, unreadable
from opa.plugins.admin_panels.shown import NAME as CARRIED
from opa.plugins.admin_panels.shown import carried, digests, sent_digests, without_place
from opa.plugins.admin_panels.visitor import Action, current_visitor

LONGEST_NAME = 80
"""Characters of what a row is called."""
LAST_ROW = 2**31 - 1
"""A page of the list that is behind it is empty."""
PAGE_SIZES = (10, 25, 50, 100)
TAKEN = frozenset({"csrftoken", "_continue_editing", "_add_another", "_meta", "opa_key", CARRIED})
"""What forms send beside the fields, and what rows have."""
_IN_LIST = (RequestAction.ACTION, RequestAction.ROW_ACTION)
_KEPT, _DONE = "opa_kept", "opa_done"
_FORM, _UNCHANGED, _NOW, SHOWN = "opa_form", "opa_unchanged", "opa_now", "opa_shown"
_HIDDEN = "opa_hidden"
_MEANWHILE = "This was changed meanwhile. Save again to replace it by what stands here"


class PanelView(BaseModelView):
    """What a view of a panel does, whatever its model is.

    Attributes:
        panel: what is shown.
    """

    panel: Panel
    exporters = ()
    importers = ()
    row_click_navigate = False

    def take_options(self, panel: Panel, names: Sequence[str]) -> None:
        """Take what is said of the panel.

        Args:
            panel: what is shown.
            names: of the fields, in their order.

        Raises:
            OpaError: a field has a name that forms, or rows, have for something else.
        """
        options = panel.options
        for name in TAKEN.intersection(names):
            raise OpaError(
                f"the admin panel '{panel.name}' has a field '{name}', a name that its pages have for something else",
                where=panel.where,
                hint="Take it out by 'exclude', or give the attribute of the model another name",
            )
        self.panel = panel
        self.icon = options.icon or "fa-solid fa-table"
        self.menu_label = panel.label
        self.display_name = panel.singular
        self.page_size = options.list_per_page
        self.page_size_options = sorted({*PAGE_SIZES, options.list_per_page})
        listed = set(options.list_display or names)
        self.exclude_fields_from_list = [name for name in names if name not in listed]
        self.fields_default_sort = [(name.removeprefix("-"), name.startswith("-")) for name in options.ordering] or None

    def set_filters(self, fields: Sequence[BaseField], searched: Collection[str]) -> None:
        """Say by which fields the list is filtered, searched and sorted.

        Args:
            fields: of the panel.
            searched: the names of those that can be searched in.
        """
        options = self.panel.options
        open_fields = [
            field
            for field in fields
            if field.name not in self.exclude_fields_from_list and not isinstance(field, SecretField)
        ]
        names = [field.name for field in open_fields if not isinstance(field, RelationField)]
        filtered = set(names if options.list_filter is None else options.list_filter) & set(names)
        wanted = names if options.search_fields is None else options.search_fields
        self.searched = [name for name in wanted if name in searched and name in names]
        self.searchable_fields = [name for name in names if name in filtered or name in self.searched]
        self.sortable_fields = [field.name for field in open_fields if field.orderable and field.name in names]
        for field in fields:
            if field.name not in filtered:
                field.filters = []

    # Who may do what

    def is_accessible(self, request: Request) -> bool:
        """Whether the visitor may see the panel."""
        return self._may(request, "read")

    def can_view_detail(self, request: Request) -> bool:
        """The same."""
        return self._may(request, "read")

    def can_create(self, request: Request) -> bool:
        """Whether the visitor may create one."""
        return self.panel.options.can_create and self._may(request, "create")

    def can_edit(self, request: Request) -> bool:
        """Whether the visitor may edit one."""
        return self.panel.options.can_edit and self._may(request, "edit")

    def can_delete(self, request: Request) -> bool:
        """Whether the visitor may delete one."""
        return self.panel.options.can_delete and self._may(request, "delete")

    def can_export(self, request: Request) -> bool:
        """Nobody may."""
        return False

    def can_import(self, request: Request) -> bool:
        """Nobody may."""
        return False

    def _may(self, request: Request, action: Action) -> bool:
        return current_visitor(request).can(action, self.panel.name)

    def refuse_stranger(self, request: Request) -> None:
        """See that the visitor may do what a request asks for: starlette-admin answers 400 to some of it.

        Raises:
            HTTPException: they may not (403).
        """
        name = self.panel.name
        if not self.is_accessible(request):
            raise HTTPException(403, f"the scope admin:{name}:read is missing")
        if request.scope["path"].endswith(("/action", "/row-action")):
            if request.query_params.get("name") != "delete":
                raise HTTPException(400, "there is no such action")
            if not self.can_delete(request):
                raise HTTPException(403, f"the scope admin:{name}:delete is missing, or nobody may delete here")

    def can_access_field(self, request: Request, field: BaseField, action: RequestAction | None = None) -> bool:
        """Whether the visitor has it there: also none of a relation to a panel that they may not see."""
        asked = action if action is not None else request.state.action
        if isinstance(field, RelationField) and not current_visitor(request).can("read", str(field.key)):
            return False
        if field.name in getattr(request.state, _KEPT, ()):
            return False
        is_shown_alone = field.read_only and asked == RequestAction.CREATE
        return not is_shown_alone and super().can_access_field(
            request, field, RequestAction.LIST if asked in _IN_LIST else asked
        )

    # What is shown

    async def serialize_field_value(self, value: Any, field: BaseField, request: Request) -> Any:
        """A value for a page; what does not fit its field, as a database may have it, is shown as a text."""
        try:
            found = await super().serialize_field_value(value, field, request)
        except (ValueError, TypeError, AssertionError, ArithmeticError, AttributeError):
            found = shortened(str(value), request)
        return encodable(found) if isinstance(found, str) else found

    async def serialize(
        self, obj: Any, request: Request, include_relationships: bool = True, include_select2: bool = False
    ) -> dict[str, Any]:
        """What a page shows of one; of a form, it is kept what that is."""
        found = await super().serialize(obj, request, include_relationships, include_select2)
        if request.state.action == RequestAction.EDIT:
            fields = self.get_fields_list(request)
            now = digests(fields, found)
            setattr(request.state, _HIDDEN, without_place(fields, found))
            setattr(request.state, _NOW, now)
            setattr(request.state, SHOWN, now)
        return found

    # What is entered

    async def validate_fields(self, request: Request, data: dict[str, Any], exclude: Collection[str] = ()) -> None:
        """See that all that was entered can be read, and is there where it has to be.

        Raises:
            FormValidationError: it is not, or another user has changed it meanwhile.
        """
        form = await request.form()
        fields = [field for field in self.get_fields_list(request) if not field.read_only]
        errors: dict[str | int, Any] = {}
        kept: set[str] = set()
        if request.state.action == RequestAction.EDIT:
            # A secret that is not entered anew stays, as does what comes back as it was shown.
            kept = {field.name for field in fields if isinstance(field, SecretField) and not data.get(field.name)}
            sent, shown = sent_digests(fields, form), carried(form)
            now: dict[str, str] = getattr(request.state, _NOW)
            known = {name: each for name, each in now.items() if name not in getattr(request.state, _HIDDEN)}
            kept |= {name for name, each in sent.items() if each in (shown.get(name), known.get(name))}
            # Nor is it read again what nobody could choose.
            kept |= {field.name for field in self.fields if field.read_only and field.name in former_choices(request)}
            late = {name for name in now.keys() & shown.keys() if now[name] != shown[name]} - kept
            errors = dict.fromkeys(late, _MEANWHILE)
            setattr(request.state, SHOWN, {**now, **shown, **{name: now[name] for name in late}})
            setattr(request.state, _UNCHANGED, kept)
        for field in fields:
            if field.name in kept:
                continue
            value = data.get(field.name)
            if problem := unreadable(field, form.get(field.id), value):
                errors[field.name] = problem
            elif any("\x00" in each for each in form.getlist(field.id) if isinstance(each, str)):
                errors[field.name] = "A text has no NUL"
        try:
            await super().validate_fields(request, data, {*exclude, *kept})
        except FormValidationError as error:
            errors = {**error.errors, **errors}
        setattr(request.state, _FORM, form)
        if errors:
            self._as_entered(request, data)
            raise FormValidationError(errors)

    def _as_entered(self, request: Request, data: dict[str, Any]) -> None:
        """Have a form that is shown again say what was entered, and not what that was read as."""
        form = getattr(request.state, _FORM)
        for field in self.get_fields_list(request):
            is_read = isinstance(field, BooleanField | EnumField) and not isinstance(field, ChoiceField)
            entered = form.getlist(field.id)
            if field.name in data and not is_read and not isinstance(data[field.name], list) and len(entered) == 1:
                data[field.name] = entered[0] if isinstance(entered[0], str) else ""

    @contextmanager
    def changed(
        self, request: Request, data: dict[str, Any], *, unread: Collection[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Of what a form has, that which was changed in it; the other fields are not there meanwhile.

        Args:
            request: has sent the form.
            data: what it has.
            unread: the names of fields that are not there either, if the form does not have them.

        Raises:
            FormValidationError: as it comes from inside. The form has all its fields then.
        """
        kept = {*getattr(request.state, _UNCHANGED, ()), *(name for name in unread if name not in data)}
        setattr(request.state, _KEPT, kept)
        try:
            yield {name: value for name, value in data.items() if name not in kept}
        except FormValidationError as error:
            setattr(request.state, _KEPT, set())
            self._as_entered(request, data)
            # What is wrong there, and was not shown, is left as it is once. Empty again, it becomes empty.
            refused = error.errors.keys() & getattr(request.state, _HIDDEN, set())
            shown: dict[str, str] = getattr(request.state, SHOWN, {})
            setattr(request.state, SHOWN, {name: each for name, each in shown.items() if name not in refused})
            raise

    def validated(self, schema: type[BaseModel], data: dict[str, Any]) -> BaseModel:
        """What a model of Pydantic makes of it.

        Raises:
            FormValidationError: it does not take it.
        """
        try:
            return schema.model_validate(data)
        except ValidationError as error:
            raise FormValidationError(self.form_errors(error)) from error

    def form_errors(self, error: ValidationError) -> dict[str | int, Any]:
        """What it says, by field; what is of no field of the form stands at the first one."""
        names = [field.name for field in self.fields]
        first = next((field.name for field in self.fields if not field.exclude_from_edit), names[0])
        found: dict[str | int, Any] = {}
        for each in error.errors(include_url=False, include_input=False, include_context=False):
            name = str(each["loc"][0]) if each["loc"] else ""
            inner = ".".join(map(str, each["loc"][1:]))
            text = each["msg"] if not inner else f"{inner}: {each['msg']}"
            if name not in names:
                text, name = f"{name}: {text}" if name else text, first
            found[name] = f"{found[name]}; {text}" if name in found else text
        return found

    # What was done

    def note(self, request: Request, what: Action, *, ids: Sequence[Any], fields: Sequence[str] = ()) -> None:
        """Have it stand in the audit log, once it is sure that it was done."""
        visitor = current_visitor(request)
        details: dict[str, Any] = {"panel": self.panel.name, "ids": [str(each) for each in ids]}
        if fields:
            details["fields"] = list(fields)
        later(request, lambda: audit(f"admin.{what}", who=visitor.name, request=request, **details))

    async def repr(self, obj: Any, request: Request) -> str:
        """What one of them is called, in a few words."""
        text = self.called(obj)
        if text is None:
            text = f"{self.display_name} {await self.get_pk_value(request, obj)}"
        return encodable(text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…")

    def called(self, obj: Any) -> str | None:
        """What one calls itself; None where it does not say."""
        return str(obj) if any("__str__" in vars(cls) for cls in type(obj).__mro__[:-1]) else None

    async def select2_result(self, obj: Any, request: Request) -> str:
        """The same, where one is chosen: in HTML."""
        from markupsafe import escape

        return f"<span>{escape(await self.repr(obj, request))}</span>"


def later(request: Request, call: Callable[[], None]) -> None:
    """Have something called, once what the request has changed is kept."""
    calls: list[Callable[[], None]] = getattr(request.state, _DONE, [])
    setattr(request.state, _DONE, [*calls, call])


def call_what_is_done(request: Request) -> None:
    """Call it."""
    for call in cast("list[Callable[[], None]]", getattr(request.state, _DONE, [])):
        call()


async def refuse_nonsense(request: Request) -> None:
    """See that a filter is no longer than one that is put together on the page, and that a form has no files.

    Nor are there more ways to sort, or keys at once, than the page has.

    Raises:
        HTTPException: it is, or has (400).
    """
    if request.method == "POST":
        await request.body()  # so that those who come later can read it too
        await request.form(max_files=0)
    texts = (request.query_params.get("filter") or "", request.query_params.get("_list_query") or "")
    if any(len(text) > LONGEST_FILTER for text in texts):
        raise HTTPException(400, "the filter is too long")
    if len(request.query_params.getlist("sort")) > MOST_SORTS:
        raise HTTPException(400, "the list is sorted by too many fields")
    if len(request.query_params.getlist("pks")) > MOST_KEYS:
        raise HTTPException(400, f"these are more than {MOST_KEYS} keys")


LONGEST_FILTER = 8000
MOST_SORTS = 20
MOST_KEYS = 1000

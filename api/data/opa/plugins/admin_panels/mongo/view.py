"""A panel of a model of Pydantic over a collection of MongoDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bson import ObjectId
from bson.errors import InvalidDocument
from pydantic import TypeAdapter, ValidationError
from pymongo.errors import DuplicateKeyError, OperationFailure, WriteError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.exceptions import ActionFailed, FormValidationError
from starlette_admin.fields import BaseField, StringField, TagsField
from starlette_admin.filters import FilterGroup, FilterRegistry

from opa import get_instance
from opa.admin import Panel
from opa.plugins.admin_panels.fields import JsonField, LongTextField, SecretField, ShownField
from opa.plugins.admin_panels.mongo.fields import allows_none, fields_of, key_of
from opa.plugins.admin_panels.mongo.filters import Condition, MongoFilters, condition_of, text_condition
from opa.plugins.admin_panels.mongo.values import identity_of, kept, text_of
from opa.plugins.admin_panels.panel_view import LAST_ROW, PanelView

DATABASE = "opa"
"""That of a URL that names none."""
LONGEST_SEARCH = 200
_BAD_VALUES = frozenset({2, 9, 14, 51091, 51108})
"""What MongoDB calls a value, or an expression, that makes no sense."""
_NOTHING: Condition = {"_id": {"$in": []}}


@contextmanager
def _said(view: MongoView | None = None) -> Iterator[None]:
    """Say of what MongoDB refuses that it is a mistake of the request: of the view, at a field of its form."""
    try:
        yield
    except DuplicateKeyError as error:
        raise _refused(view, error, "There is one with this value already") from error
    except WriteError as error:
        raise _refused(view, error, "The collection does not take this") from error
    except (InvalidDocument, OverflowError, UnicodeEncodeError) as error:
        raise _refused(view, error, "The database cannot keep this value") from error
    except OperationFailure as error:
        if error.code not in _BAD_VALUES or view is not None:
            raise
        raise HTTPException(400, "the list cannot be filtered by this value") from error


def _refused(view: MongoView | None, error: Exception, said: str) -> Exception:
    if view is None:
        return HTTPException(400, "the list cannot be filtered by this value")
    names = [field.name for field in view.fields if not field.read_only and not field.exclude_from_create]
    text = str(error)
    return FormValidationError({next((name for name in names if view.keys[name] in text), names[0]): said})


class Document:
    """A document as a form and a list have it.

    Args:
        found: what is in the collection.
        view: knows the fields.
    """

    def __init__(self, found: dict[str, Any], view: MongoView) -> None:
        self.found = found
        self.id = text_of(found.get("_id"))
        for name, key in view.keys.items():
            if name != "id":
                setattr(self, name, view.read(name, found.get(key)))


class MongoView(PanelView):
    """Lists, searches and edits the documents of a collection.

    Args:
        panel: what is shown.

    Attributes:
        keys: of the fields in documents.
    """

    def __init__(self, panel: Panel) -> None:
        fields = fields_of(panel)
        self.fields = fields
        infos = panel.model.model_fields
        self.keys = {
            field.name: key_of(field.name, infos[field.name]) if field.name in infos else "_id" for field in fields
        }
        self._adapters = {name: TypeAdapter(info.annotation) for name, info in infos.items() if name in self.keys}
        self.key = panel.name
        self.pk_attr = "id"
        self.take_options(panel, [field.name for field in fields])
        texts = [
            field.name
            for field in fields
            if type(field) in (StringField, LongTextField, TagsField)
            and not isinstance(field, SecretField | ShownField)
        ]
        self.set_filters(fields, [name for name in texts if name != "id"])
        self.makes_id = self._takes_object_id()
        self.show_pk_in_forms = "id" in infos and infos["id"].is_required() and not self.makes_id
        self.exclude_fields_from_edit = ["id"]
        super().__init__()

    def _takes_object_id(self) -> bool:
        """Whether an id that is needed may be an ObjectId, which is made then."""
        try:
            self._adapters["id"].validate_python(ObjectId())
        except (ValidationError, KeyError):
            return False
        return True

    # Documents

    def _documents(self) -> Any:
        """The collection. No property: starlette-admin looks at each of these, before there is a client."""
        client: Any = get_instance(self.panel.component)
        return client.get_default_database(DATABASE)[self.panel.collection]

    def read(self, name: str, value: Any) -> Any:
        """A value as the model has it; as it is, where it is none."""
        adapter = self._adapters.get(name)
        if value is None or adapter is None:
            return value
        try:
            return adapter.validate_python(value)
        except ValidationError:
            return value

    async def serialize_field_value(self, value: Any, field: BaseField, request: Request) -> Any:
        """A value for a page."""
        shown = kept(value) if isinstance(field, JsonField | TagsField) else value
        return await super().serialize_field_value(shown, field, request)

    def get_filter_registry(self) -> FilterRegistry:
        """The filters of the list."""
        return MongoFilters()

    def _where(self, request: Request, q: str | None, filters: FilterGroup | None) -> Condition:
        parts: list[Condition] = []
        if q:
            if len(q) > LONGEST_SEARCH or "\x00" in q:
                return _NOTHING
            looked = [{self.keys[name]: text_condition(q)} for name in self.searched]
            parts.append({"$or": looked} if looked else _NOTHING)
        if filters is not None and not filters.is_empty():
            fields = {field.name: field for field in self.get_fields_list(request)}
            parts.append(condition_of(filters, fields, self.get_filter_registry(), self))
        parts = [part for part in parts if part]
        return {"$and": parts} if parts else {}

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """How many documents there are."""
        with _said():
            number: int = await self._documents().count_documents(self._where(request, q, filters))
        return number

    async def find_all(  # noqa: PLR0917 - as starlette-admin has it
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[Document]:
        """The documents of a page."""
        if skip > LAST_ROW:
            return []
        order = [(self.keys[name], -1 if way == "desc" else 1) for name, way in sorts or () if name in self.keys]
        if "_id" not in dict(order):
            order.append(("_id", 1))
        with _said():
            found = self._documents().find(self._where(request, q, filters)).sort(order).skip(skip)
            return [Document(each, self) async for each in (found.limit(limit) if limit > 0 else found)]

    async def find_by_pk(self, request: Request, pk: Any) -> Document | None:
        """The document of that id; None where there is none."""
        found = await self.find_by_pks(request, [pk])
        return found[0] if found else None

    async def find_by_pks(self, request: Request, pks: list[Any]) -> list[Document]:
        """The documents of those ids that there are."""
        ids = [each for each in (identity_of(str(pk)) for pk in pks) if each is not None]
        with _said():
            found = [each async for each in self._documents().find({"_id": {"$in": ids}})]
        return [Document(each, self) for each in found]

    async def get_pk_value(self, request: Request, obj: Any) -> str:
        """The id as a text."""
        return str(obj.id)

    def called(self, obj: Any) -> str | None:
        """The first text that is searched in, or is called a name or a title."""
        names = ("name", "title", "label", "subject", *self.searched)
        shown = (getattr(obj, name, None) for name in names if name in self.keys)
        return next((text for text in shown if isinstance(text, str) and text), None)

    # What is done

    def _entered(self, data: dict[str, Any]) -> dict[str, Any]:
        """What a form has, without what was left empty and has a default or may be none."""
        entered: dict[str, Any] = {}
        infos = self.panel.model.model_fields
        for name, value in data.items():
            info = infos.get(name)
            if info is None:
                continue
            if value is None or (value == "" and (allows_none(info.annotation) or not info.is_required())):
                if allows_none(info.annotation):
                    entered[name] = None
            else:
                entered[name] = value
        return entered

    def _valid(self, values: dict[str, Any]) -> dict[str, Any]:
        """What the model makes of the values, by their keys in a document.

        Raises:
            FormValidationError: it does not take them.
        """
        model = self.panel.model
        try:
            made = model.model_validate(values, by_alias=True, by_name=True)
        except ValidationError as error:
            raise FormValidationError(self.form_errors(error)) from error
        return {key_of(name, info): kept(getattr(made, name)) for name, info in model.model_fields.items()}

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """Create a document.

        Raises:
            FormValidationError: the model or the collection does not take it.
        """
        with self.changed(request, data) as entered:
            return await self._create(request, entered)

    async def _create(self, request: Request, data: dict[str, Any]) -> Document:
        await self.validate(request, data)
        entered = self._entered(data)
        if self.makes_id and self.panel.model.model_fields["id"].is_required():
            entered["id"] = ObjectId()
        document = self._valid(entered)
        if document.get("_id") is None:
            document.pop("_id", None)
        with _said(self):
            done = await self._documents().insert_one(document)
        made = Document({**document, "_id": done.inserted_id}, self)
        self.note(request, "create", ids=[made.id])
        return made

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Change those fields of a document that were changed in the form; all others stay as they are.

        Raises:
            FormValidationError: the model or the collection does not take it.
            HTTPException: there is no such document any more (404).
        """
        with self.changed(request, data) as entered:
            return await self._edit(request, pk, entered)

    async def _edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Document:
        await self.validate(request, data)
        before = await self.find_by_pk(request, pk)
        if before is None:
            raise HTTPException(404, "there is no such document any more")
        infos = self.panel.model.model_fields
        known = {
            name: before.found[key_of(name, info)] for name, info in infos.items() if key_of(name, info) in before.found
        }
        known.pop("id", None)
        entered = self._entered(data)
        if "id" in infos:
            entered["id"] = before.found["_id"]
        left = {name for name in data if name not in entered}  # empty now: what the model has by itself
        valid = self._valid({**{name: value for name, value in known.items() if name not in left}, **entered})
        keys = {self.keys[name] for name in data if name in infos and name != "id"}
        changed = {
            key: valid[key]
            for key in keys
            if (before.found[key] != valid[key] if key in before.found else valid[key] is not None)
        }
        if changed:
            with _said(self):
                done = await self._documents().update_one({"_id": {"$eq": before.found["_id"]}}, {"$set": changed})
            if not done.matched_count:
                raise HTTPException(404, "there is no such document any more")
        names = [name for name, key in self.keys.items() if key in changed]
        self.note(request, "edit", ids=[before.id], fields=names)
        return Document({**before.found, **changed}, self)

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        """Delete documents."""
        there = await self.find_by_pks(request, pks)
        with _said():
            done = await self._documents().delete_many({"_id": {"$in": [each.found["_id"] for each in there]}})
        if there:
            self.note(request, "delete", ids=[each.id for each in there])
        count: int = done.deleted_count
        return count

    async def handle_row_action(self, request: Request, pk: Any, name: str) -> Response | None:
        """Do something with one.

        Raises:
            ActionFailed: it cannot be done.
        """
        if name == "delete" and await self.find_by_pk(request, pk) is None:
            raise ActionFailed("There is no such document any more")
        return await super().handle_row_action(request, pk, name)

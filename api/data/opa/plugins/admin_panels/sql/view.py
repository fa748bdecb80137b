"""A panel of a model of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import String, cast, inspect, or_
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.actions import ActionSelection
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.contrib.sqla.filters import SqlaFilterRegistry
from starlette_admin.exceptions import ActionFailed, FormValidationError
from starlette_admin.fields import EnumField, RelationField, StringField
from starlette_admin.filters import FilterGroup, FilterRegistry
from starlette_admin.types import RequestAction
from starlette_admin.views import BaseModelView

from opa.admin import Panel, check_fields
from opa.plugins.admin_panels.fields import SecretField, ShownField
from opa.plugins.admin_panels.filters import WholeValues
from opa.plugins.admin_panels.panel_view import LAST_ROW, PanelView
from opa.plugins.admin_panels.sql.columns import fields_of, has_entered_key, may_be_none, names_of
from opa.plugins.admin_panels.sql.errors import field_of, is_of_type, refusal
from opa.plugins.admin_panels.sql.keys import NAME, KeyField, RowKeys
from opa.plugins.admin_panels.sql.unread import UNREAD, Columns, doubtful_of, enums_of, fill, without

_ROW, _RAW = "opa_row", "opa_raw"
_NO_KEY = (ValueError, TypeError, AssertionError, LookupError, ArithmeticError, AttributeError)
"""What the text of a key that no row can have is told by."""


class SqlFilters(WholeValues, SqlaFilterRegistry):
    """Those of starlette-admin."""


class SqlView(PanelView, ModelView):
    """Lists, searches and edits the rows of a table.

    Args:
        panel: what is shown.
        others: to which a relation may lead.

    Raises:
        OpaError: the panel names an unknown field.
    """

    def __init__(self, panel: Panel, others: list[Panel]) -> None:
        check_fields(panel, names_of(panel))
        fields = fields_of(panel, others)
        self.fields = fields
        self.take_options(panel, [field.name for field in fields])
        texts = [
            field.name
            for field in fields
            if isinstance(field, StringField | EnumField) and not isinstance(field, SecretField | ShownField)
        ]
        self.set_filters(fields, texts)
        self._may_be_none = may_be_none(panel)
        self.row_keys = RowKeys(panel.model)
        self.show_pk_in_forms = has_entered_key(panel)
        self.exclude_fields_from_edit = self.row_keys.names
        if not self.show_pk_in_forms:
            self.exclude_fields_from_create = self.row_keys.names
        if self.fields_default_sort is None:
            self.fields_default_sort = [(name, False) for name in self.row_keys.names]
        ModelView.__init__(self, panel.model, key=panel.name)
        # What a page shows of a key, such as a date in words, is none.
        self.pk_field = KeyField(self.row_keys)
        self.pk_attr = NAME

    def get_filter_registry(self) -> FilterRegistry:
        """The filters of the list."""
        return SqlFilters()

    def get_search_query(self, request: Request, term: str) -> Any:
        """Where the term is in one of the texts that are searched; nowhere, if there are none."""
        columns = (getattr(self.model, name) for name in self.searched)
        return or_(False, *(cast(column, String).icontains(term, autoescape=True) for column in columns))

    def get_list_query(self, request: Request) -> Any:
        """The query of all rows, of the list and of one."""
        query = super().get_list_query(request)
        raw = self._raw(request)
        return query if raw is None else query.options(*without(self.model, self._read_with(request), raw))

    def _raw(self, request: Request) -> Columns | None:
        """The columns that are not read as values, since the request has met a row with one that is none."""
        found: Columns | None = getattr(request.state, _RAW, {}).get(self.panel)
        return found

    def _read_with(self, request: Request) -> list[str]:
        return [field.name for field in self.get_fields_list(request) if isinstance(field, RelationField)]

    async def _read(self, request: Request, find: Callable[[], Awaitable[Sequence[Any]]]) -> Sequence[Any]:
        """What is found; values that Python does not have are texts."""
        session = request.state.session
        while True:
            try:
                rows = await find()
                break
            except UNREAD as error:
                if not self._reads_less(request, error):
                    raise
                for each in list(session.identity_map.values()):
                    if isinstance(each, tuple(self._models(request))):  # one is half read
                        session.expunge(each)
        raw = self._raw(request)
        if raw is not None:
            await fill(session, rows, self._read_with(request), raw)
        return rows

    def _reads_less(self, request: Request, error: Exception) -> bool:
        """Have the next query leave out the columns of which one may have failed; False, where there are no more."""
        known = self._raw(request)
        doubtful: Columns = partial(doubtful_of, dialect=request.state.session.get_bind().dialect)
        for columns in (enums_of, doubtful) if known is None and isinstance(error, LookupError) else (doubtful,):
            is_known = known is not None and known is not enums_of
            if not is_known and any(map(columns, self._models(request))):
                setattr(request.state, _RAW, {**getattr(request.state, _RAW, {}), self.panel: columns})
                return True
        return False

    def _models(self, request: Request) -> list[type[Any]]:
        """The models of which there are rows in a query."""
        relations = (getattr(self.model, name).property.mapper.class_ for name in self._read_with(request))
        return [self.model, *relations]

    async def find_all(  # noqa: PLR0917 - as starlette-admin has it
        self,
        request: Request,
        skip: int = 0,
        limit: int = 100,
        q: str | None = None,
        sorts: Sequence[tuple[str, str]] | None = None,
        filters: FilterGroup | None = None,
    ) -> Sequence[Any]:
        """The rows of a page."""
        if skip > LAST_ROW:
            return []
        # Of what a relation may lead to, all is asked for by its key.
        order = [each for one in sorts or () for each in self._by_columns(one)]
        try:
            find = super().find_all
            return await self._read(request, lambda: find(request, skip, limit, q, order, filters))
        except (DBAPIError, StatementError, OverflowError) as error:
            raise self._no_such_filter(error) from error

    def _by_columns(self, sort: tuple[str, str]) -> list[tuple[str, str]]:
        name, way = sort
        return [(each, way) for each in self.row_keys.names] if name == NAME else [sort]

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:
        """How many rows there are."""
        try:
            return await super().count(request, q, filters)
        except (DBAPIError, StatementError, OverflowError) as error:
            raise self._no_such_filter(error) from error

    @staticmethod
    def _no_such_filter(error: Exception) -> Exception:
        """A value of a filter that the database does not take is a mistake of the request; all else is what it is."""
        return HTTPException(400, "the list cannot be filtered by this value") if refusal(error) else error

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        """The row of that key; None where there is none."""
        found = await self.find_by_pks(request, [pk])
        return found[0] if found else None

    async def find_by_pks(self, request: Request, pks: list[Any]) -> Sequence[Any]:
        """The rows of those keys that there are."""
        try:
            wanted = self.row_keys.condition_of(pks)
            is_written = self._is_written(request, pks)
            return await self._read(request, lambda: self._rows_where(request, wanted, is_written=is_written))
        except _NO_KEY:
            pass
        except (DBAPIError, StatementError) as error:
            if not refusal(error) and not is_of_type(error):
                raise
            await request.state.session.rollback()
        # One of them is none that a row could have.
        return [row for pk in pks for row in await self.find_by_pks(request, [pk])] if len(pks) > 1 else []

    def _is_written(self, request: Request, pks: list[Any]) -> bool:
        """Whether these are the row that a form changes, and not one to which it refers."""
        is_form = request.state.action == RequestAction.EDIT and request.method == "POST"
        return is_form and request.path_params.get("key") == self.key and pks == [request.query_params.get("pk")]

    async def _rows_where(self, request: Request, condition: Any, *, is_written: bool) -> Sequence[Any]:
        relations = [joinedload(getattr(self.model, name)) for name in self._read_with(request)]
        query = self.get_detail_query(request).where(condition).options(*relations)
        if is_written:
            # What the form is compared with stays what it is, until it is written.
            query = query.with_for_update(of=self.model)
        rows: Sequence[Any] = (await request.state.session.execute(query)).scalars().unique().all()
        return rows

    async def validate(self, request: Request, data: dict[str, Any]) -> None:
        """See that the model takes it: its validators, and those of `schema`.

        Raises:
            FormValidationError: it does not.
        """
        entered = {name: value for name, value in data.items() if name not in {each.name for each in self._relations()}}
        errors: dict[str | int, Any] = {}
        if self.panel.options.schema is not None:
            try:
                kept = getattr(request.state, _ROW, {})
                shaped = self.validated(self.panel.options.schema, {**kept, **entered})
                data.update({name: getattr(shaped, name) for name in type(shaped).model_fields if name in data})
            except FormValidationError as error:
                errors = error.errors
        form = await request.form()
        for field in self._relations():
            if field.name in data and data[field.name] is None and form.get(field.id):
                errors[field.name] = "There is none with this key"
        mapper: Any = inspect(self.model)
        trial = mapper.class_manager.new_instance()
        for name in entered:
            if name in mapper.validators and name not in errors:
                try:
                    setattr(trial, name, data[name])
                except (ValueError, TypeError, AssertionError) as error:
                    errors[name] = refusal(error) or str(error)
        if errors:
            raise FormValidationError(errors)

    def _entered(self, data: dict[str, Any]) -> dict[str, Any]:
        """With nothing, and no empty text, where a column may have that and its field was left empty."""
        return {name: None if value == "" and name in self._may_be_none else value for name, value in data.items()}

    def _relations(self) -> list[RelationField]:
        return [field for field in self.fields if isinstance(field, RelationField)]

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """Create a row."""
        with self.changed(request, data) as entered:
            row = await super().create(request, self._entered(entered))
        self.note(request, "create", ids=[await self.get_pk_value(request, row)])
        return row

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Change a row; what has the value that it had is not told as changed."""
        before = await self.find_by_pk(request, pk)
        if before is None:
            raise HTTPException(404, "there is no such row any more")
        raw = self._raw(request)
        with self.changed(request, data, unread=() if raw is None else raw(self.model)) as entered:
            old = {name: getattr(before, name) for name in entered}
            columns: Any = inspect(self.model).column_attrs
            setattr(request.state, _ROW, {each.key: getattr(before, each.key) for each in columns if each.key in data})
            row = await super().edit(request, pk, self._entered(entered))
        changed = [name for name, value in old.items() if getattr(row, name) != value]
        self.note(request, "edit", ids=[await self.get_pk_value(request, row)], fields=changed)
        return row

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        """Delete rows."""
        rows = await self.find_by_pks(request, pks)
        ids = [await self.get_pk_value(request, row) for row in rows]
        count = await super().delete(request, pks)
        if ids:
            self.note(request, "delete", ids=ids)
        return count

    async def handle_exception(self, request: Request, exc: Exception) -> None:
        """Say at a field what is wrong with what was entered; raise all else.

        Raises:
            FormValidationError: the database, or the model, refuses it.
            HTTPException: the row was deleted meanwhile (404).
        """
        if isinstance(exc, StaleDataError):
            raise HTTPException(404, "there is no such row any more") from exc
        if isinstance(exc, FormValidationError) or not (said := refusal(exc)):
            raise exc
        names = [field.name for field in self.get_fields_list(request) if not field.read_only]
        if not names:
            raise exc
        raise FormValidationError({field_of(exc, names): said}) from exc

    async def handle_action(self, request: Request, selection: ActionSelection, name: str) -> Response | None:
        """Do something with those that are selected.

        Raises:
            ActionFailed: it cannot be done.
        """
        try:
            return await BaseModelView.handle_action(self, request, selection, name)
        except SQLAlchemyError as error:
            raise self._failed(error) from error

    async def handle_row_action(self, request: Request, pk: Any, name: str) -> Response | None:
        """Do something with one.

        Raises:
            ActionFailed: it cannot be done.
        """
        if name == "delete" and await self.find_by_pk(request, pk) is None:
            raise ActionFailed("There is no such row any more")
        try:
            return await BaseModelView.handle_row_action(self, request, pk, name)
        except SQLAlchemyError as error:
            raise self._failed(error) from error

    @staticmethod
    def _failed(error: Exception) -> Exception:
        said = refusal(error)
        return ActionFailed(f"It cannot be deleted: {said[:1].lower()}{said[1:]}") if said else error

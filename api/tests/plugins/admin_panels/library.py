"""A plugin with panels, whose application tests ask as a browser does."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.project import Project

MODELS = """
    import enum
    from datetime import datetime
    from typing import Any

    from sqlalchemy import JSON, ForeignKey, String, Text
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, validates


    class Base(DeclarativeBase):
        pass


    class Kind(enum.Enum):
        novel = "n"
        poem = "p"


    class Author(Base):
        __tablename__ = "authors"

        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(80))
        password: Mapped[str | None]
        books: Mapped[list["Book"]] = relationship(back_populates="author")

        def __str__(self) -> str:
            return self.name


    class Genre(Base):
        __tablename__ = "genres"

        name: Mapped[str] = mapped_column(primary_key=True)


    class Book(Base):
        __tablename__ = "books"

        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str] = mapped_column(unique=True)
        about: Mapped[str | None] = mapped_column(Text)
        kind: Mapped[Kind | None]
        pages: Mapped[int | None]
        published: Mapped[datetime | None]
        extra: Mapped[Any | None] = mapped_column(JSON)
        cover: Mapped[bytes | None]
        owner: Mapped[str] = mapped_column(default="nobody")
        author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"))
        author: Mapped[Author | None] = relationship(back_populates="books")
        genre_name: Mapped[str | None] = mapped_column(ForeignKey("genres.name"))
        genre: Mapped[Genre | None] = relationship()

        @validates("pages")
        def has_pages(self, _: str, pages: int | None) -> int | None:
            if pages is not None and pages < 1:
                raise ValueError("a book has pages")
            return pages


    class Shelf(Base):
        __tablename__ = "shelves"

        name: Mapped[str] = mapped_column(primary_key=True)
        row: Mapped[str] = mapped_column(primary_key=True)
        note: Mapped[str | None]
"""
ADMIN = """
    from markupsafe import escape

    from library.models import Author, Book, Genre, Shelf
    from opa import admin

    admin.register(Author, fields=["id", "name", "password", "books"])
    admin.register(Genre)
    admin.register(Shelf)


    @admin.register(Book)
    class BookAdmin(admin.ModelAdmin):
        exclude = ["owner"]
        list_display = ["title", "kind", "pages", "author", "about"]
        search_fields = ["title"]
        list_filter = ["pages", "title"]
        ordering = ["-title"]


    @admin.page("Stock <1>", name="stock")
    def stock(request):
        return f"<p>stock of {escape(request.query_params.get('of', 'all'))}</p>"


    @admin.page("Failing", scope="failing:see")
    async def failing(request):
        raise ValueError("planted")
"""
PLUGIN = """
    from library.models import Base
    from opa import get_util


    async def ready() -> None:
        await get_util("sql").create_all(Base.metadata)
"""
BADGES = """
    from opa import Actor

    class Badges:
        async def __call__(self, connection):
            badge = connection.headers.get("x-badge")
            return badge and Actor(id="ada", kind="badge", scopes=frozenset(badge.split()))
"""
HTML = {"Accept": "text/html"}
OWN = {"Origin": "http://localhost"}


class Library:
    """The project with it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        project.plugin("library/__init__.py", PLUGIN)
        project.plugin("library/models.py", MODELS)
        project.plugin("library/admin.py", ADMIN)
        project.plugin("badges.py", BADGES)
        project.settings(PLUGINS={"authenticators": ["badges.Badges"]})
        project.component("SQL", "sqlalchemy-async", URL=f"sqlite:///{self.file}")

    @property
    def file(self) -> Path:
        return self.project.folder / "library.db"

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """What the database has, or is told."""
        with closing(sqlite3.connect(self.file)) as database, database:
            return database.execute(statement, values).fetchall()

    @contextmanager
    def visitor(self, scopes: str = "admin:*", host: str = "localhost") -> Iterator[Visitor]:
        """A user with a badge who looks at the pages."""
        with TestClient(self.project.app(), base_url=f"http://{host}", headers=HTML) as client:
            yield Visitor(client, scopes)


class Visitor:
    """A browser that has a badge."""

    def __init__(self, client: TestClient, scopes: str) -> None:
        self.client = client
        self.be(scopes)

    def be(self, scopes: str) -> None:
        """Have other scopes from now on."""
        self.client.headers.pop("X-Badge", None)
        if scopes:
            self.client.headers["X-Badge"] = scopes

    def get(self, path: str) -> tuple[int, str]:
        answer = self.client.get(f"/admin{path}")
        return answer.status_code, answer.text

    def send(self, path: str, form: dict[str, Any], headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Send a form, as its page does."""
        token = self.token()
        answer = self.client.post(f"/admin{path}", data={**form, "csrftoken": token}, headers=headers or OWN)
        return answer.status_code, answer.text

    def act(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Do what a script of a page does."""
        given = {"X-CSRFToken": self.token(), **(headers or OWN)}
        answer = self.client.post(f"/admin/_api{path}", headers=given)
        return answer.status_code, answer.text

    def token(self) -> str:
        self.client.get("/admin/")
        return self.client.cookies.get("starlette_admin_csrftoken") or ""


def problems(page: str) -> list[str]:
    """What a form says of its fields, and an error page of the request."""
    found = re.findall(r"(?:invalid-feedback[^>]*|empty-subtitle[^>]*)>\s*([^<]*?)\s*<", page)
    return [text for text in found if text]

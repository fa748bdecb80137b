"""Books in SQL: create, list, read, change, delete, and import by a task."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, status
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from opa import Component, get_router

from .models import Author, Book
from .schemas import BookOut, NewBook, Text
from .tasks import import_books

router = get_router(prefix="/books", tags=["books"])

Sql = Annotated[AsyncSession, Component("sql")]
NO_SUCH_BOOK: dict[int | str, Any] = {404: {"description": "There is no such book"}}
IS_THERE: dict[int | str, Any] = {409: {"description": "The author has a book of this title already"}}


async def book_of_path(book_id: Annotated[int, Path(ge=1, le=2**31 - 1)], sql: Sql) -> Book:
    """The book that the path names, in the session of the request."""
    book = await sql.get(Book, book_id)
    if book is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such book")
    return book


BookOfPath = Annotated[Book, Depends(book_of_path)]


async def fill(book: Book, new: NewBook, sql: AsyncSession) -> Book:
    """Write what is new into a book; the author is added where there is none of that name."""
    author = await sql.scalar(select(Author).where(Author.name == new.author))
    book.title, book.year, book.author = new.title, new.year, author or Author(name=new.author)
    sql.add(book)
    try:
        await sql.flush()
    except IntegrityError:  # the exception rolls back
        raise HTTPException(status.HTTP_409_CONFLICT, "The author has a book of this title already") from None
    return book


@router.post("", status_code=status.HTTP_201_CREATED, response_model=BookOut, responses=IS_THERE)
async def create(new: NewBook, sql: Sql) -> Book:
    return await fill(Book(), new, sql)


@router.get("", response_model=list[BookOut])
async def show_all(sql: Sql, author: Text | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Book]:
    wanted = select(Book).order_by(Book.title, Book.id).limit(limit)
    if author is not None:
        wanted = wanted.join(Book.author).where(Author.name == author)
    return list(await sql.scalars(wanted))


@router.post("/import", status_code=status.HTTP_202_ACCEPTED)
async def start_import(books: Annotated[list[NewBook], Field(max_length=1000)]) -> dict[str, str]:
    """Have a worker add them."""
    sent = await import_books.send(books)
    return {"task": sent.id}


@router.get("/{book_id}", response_model=BookOut, responses=NO_SUCH_BOOK)
async def show(book: BookOfPath) -> Book:
    return book


@router.put("/{book_id}", response_model=BookOut, responses=NO_SUCH_BOOK | IS_THERE)
async def change(book: BookOfPath, new: NewBook, sql: Sql) -> Book:
    return await fill(book, new, sql)


@router.delete("/{book_id}", status_code=status.HTTP_204_NO_CONTENT, responses=NO_SUCH_BOOK)
async def delete(book: BookOfPath, sql: Sql) -> None:
    await sql.delete(book)

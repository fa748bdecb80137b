"""A task that writes what a list of books has: all of it, or nothing."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from opa import Component, log, task

from .models import Author, Book
from .schemas import NewBook


# Two that meet the same new author at once cannot both add it: the other one runs again, with a session of its own.
@task(autoretry_for=(IntegrityError,), default_retry_delay=1, max_retries=3)
def import_books(books: list[NewBook], sql: Session = Component("sql_sync")) -> int:
    """Add those that are missing, and return how many these are. It may run twice: the second run adds none."""
    added = 0
    for book in books:
        author = sql.scalar(select(Author).where(Author.name == book.author))
        if author is None:
            author = Author(name=book.author)
            sql.add(author)
            sql.flush()
        found = sql.scalar(select(Book.id).where(Book.author_id == author.id, Book.title == book.title))
        if found is None:
            sql.add(Book(title=book.title, year=book.year, author=author))
            added += 1
    log.info("{} of {} books are new", added, len(books))
    return added

"""Books in MongoDB: create, list, read, change and delete."""

from typing import Annotated, Any

from bson import ObjectId
from fastapi import Depends, HTTPException, Query, status
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pydantic import BaseModel, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pymongo import ReturnDocument

from opa import Component, get_router

router = get_router(prefix="/books", tags=["books"])

Document = dict[str, Any]


def to_object_id(value: Any) -> ObjectId:
    if not ObjectId.is_valid(value):
        raise ValueError("an id has 24 hexadecimal digits")
    return ObjectId(value)


Id = Annotated[
    ObjectId,
    PlainValidator(to_object_id),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{24}$"}),
]
"""An ObjectId in Python and in MongoDB, a string in JSON and in the path."""


class NewBook(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    author: str = Field(min_length=1, max_length=200)
    year: int = Field(ge=1450, le=2100)


class Book(NewBook):
    id: Id = Field(validation_alias="_id")


async def books_collection(
    mongodb: Annotated[AsyncIOMotorClient[Document], Component("mongodb")],
) -> AsyncIOMotorCollection[Document]:
    """The collection `books` of the database that the component's URL names."""
    return mongodb.get_default_database("opa")["books"]


Books = Annotated[AsyncIOMotorCollection[Document], Depends(books_collection)]

NO_SUCH_BOOK: dict[int | str, Any] = {404: {"description": "There is no such book"}}
"""For the documentation of the API, which does not see what a route raises."""


def found(document: Document | None) -> Book:
    if document is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such book")
    return Book.model_validate(document)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create(book: NewBook, books: Books) -> Book:
    document = book.model_dump()
    await books.insert_one(document)  # adds the key _id to the document
    return Book.model_validate(document)


@router.get("")
async def show_all(
    books: Books, author: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> list[Book]:
    wanted = {} if author is None else {"author": author}
    return [Book.model_validate(document) async for document in books.find(wanted).sort("title").limit(limit)]


@router.get("/{book_id}", responses=NO_SUCH_BOOK)
async def show(book_id: Id, books: Books) -> Book:
    return found(await books.find_one({"_id": book_id}))


@router.put("/{book_id}", responses=NO_SUCH_BOOK)
async def change(book_id: Id, book: NewBook, books: Books) -> Book:
    return found(
        await books.find_one_and_update(
            {"_id": book_id}, {"$set": book.model_dump()}, return_document=ReturnDocument.AFTER
        )
    )


@router.delete("/{book_id}", status_code=status.HTTP_204_NO_CONTENT, responses=NO_SUCH_BOOK)
async def delete(book_id: Id, books: Books) -> None:
    found(await books.find_one_and_delete({"_id": book_id}))

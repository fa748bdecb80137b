"""The document is the one that FastAPI makes, byte by byte."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, File, Form, Header, Path, Query, Security, UploadFile
from fastapi.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from fastapi.security import APIKeyHeader, HTTPBearer, OAuth2PasswordBearer
from fastapi.staticfiles import StaticFiles
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field, create_model

from opa.http.openapi.build import build
from opa.http.openapi.problems import OpenApiError

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate Operation ID")

Payload = TypeVar("Payload")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(BaseModel):
    street: str = Field(description="With the number", examples=["Main St 1"])
    zip: str | None = None


class Person(BaseModel):
    """A person.

    \f Not for the document.
    """

    name: str
    addresses: list[Address] = []
    favourite: Colour = Colour.RED
    boss: Person | None = None

    @computed_field  # type: ignore[prop-decorator]  # as Pydantic asks for it; mypy knows no decorated property
    @property
    def initial(self) -> str:
        return self.name[0]


class Page(BaseModel, Generic[Payload]):
    items: list[Payload]
    next: int | None = None


# Another model of the same name, as two teams have it.
OtherPerson = create_model("Person", number=(int, ...), __module__="other")


OAUTH = OAuth2PasswordBearer("token", scopes={"read": "Read all"})


async def page(start: Annotated[int, Query(ge=0, description="First")] = 0, limit: int = 10) -> None: ...


def text_of_fastapi(app: FastAPI) -> bytes:
    """What FastAPI's own route answers."""
    return json.dumps(app.openapi(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def rich_router() -> APIRouter:
    router = APIRouter(prefix="/people", tags=["people", Colour.BLUE], responses={404: {"description": "Nobody"}})
    callbacks = APIRouter()

    @callbacks.post("{$callback_url}/done")
    def done(body: Address) -> None: ...

    @router.get("/", summary="All of them", dependencies=[Depends(page)])
    def everybody(colour: Colour | None = None, key: Annotated[str, Header()] = "") -> Page[Person]:
        raise NotImplementedError

    @router.post("/", status_code=201, callbacks=callbacks.routes, openapi_extra={"x-team": "hr"})
    def add(
        person: Annotated[Person, Body(openapi_examples={"a": {"value": {"name": "Ann"}}})],
        user: Annotated[str, Security(OAUTH, scopes=["read"])],
        session: Annotated[str | None, Cookie()] = None,
    ) -> Person:
        """Add a person.

        In *Markdown*, with ünïcödé.
        """
        raise NotImplementedError

    @router.put("/{id}", deprecated=True, operation_id="replace", responses={"4XX": {"model": Address}, "default": {}})
    def replace(id: Annotated[int, Path(gt=0)], person: OtherPerson, more: Address) -> list[OtherPerson]:  # type: ignore[valid-type]
        raise NotImplementedError

    @router.api_route("/many", methods=["GET", "DELETE"], response_class=PlainTextResponse)
    def many() -> str:
        raise NotImplementedError

    @router.post("/upload", response_model=dict[str, Literal["a", 1]])
    def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()] = "") -> Any: ...

    @router.get("/page", response_class=HTMLResponse, dependencies=[Depends(APIKeyHeader(name="x-key"))])
    def page_of_html() -> str:
        raise NotImplementedError

    @router.get("/stream", response_class=StreamingResponse, dependencies=[Depends(HTTPBearer())])
    def stream() -> Any: ...

    @router.get("/hidden", include_in_schema=False)
    def hidden() -> None: ...

    @router.websocket("/socket")
    async def socket(websocket: Any) -> None: ...

    return router


def rich_app(**options: Any) -> FastAPI:
    app = FastAPI(
        title="Rich ünïcödé",
        version="1.2",
        summary="Much",
        description="All of it",
        terms_of_service="https://example.com/terms",
        contact={"name": "Ann"},
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=[{"name": "people", "externalDocs": {"url": "https://example.com"}}],
        openapi_external_docs={"url": "https://example.com", "description": "More"},
        **options,
    )
    outer = APIRouter(prefix="/v1")
    outer.include_router(rich_router())
    app.include_router(outer)
    app.include_router(rich_router(), prefix="/v2", tags=["two"], deprecated=True)

    @app.delete("/v1/people/")
    def remove_all() -> Person | OtherPerson: ...  # type: ignore[valid-type]

    @app.webhooks.post("joined")
    def joined(person: Person) -> None: ...

    app.mount("/static", StaticFiles(check_dir=False, directory="."))
    return app


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"separate_input_output_schemas": False},
        {"servers": [{"url": "https://example.com", "description": "There"}]},
    ],
    ids=str,
)
def test_the_document_is_that_of_fastapi(options: dict[str, Any]) -> None:
    app = rich_app(**options)
    document = build(app)
    assert app.openapi_schema is None
    assert bytes(document.body) == text_of_fastapi(app)


def test_the_version_of_openapi_is_that_of_the_application() -> None:
    app = rich_app()
    app.openapi_version = "3.0.2"
    assert bytes(build(app).body) == text_of_fastapi(app)


def test_an_application_without_routes_has_one_too() -> None:
    app = FastAPI()
    assert bytes(build(app).body) == text_of_fastapi(app)


def test_two_operations_with_one_id_are_warned_of_as_by_fastapi() -> None:
    def warned_by(function: Callable[[], Any]) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function()
        return [str(warning.message) for warning in caught]

    app = rich_app()
    found = warned_by(lambda: build(app))
    assert found
    assert found == warned_by(app.openapi)


# Models of which some have one name, are alike, or have one another in them.
MODELS: list[Any] = [
    int,
    Address,
    Person,
    OtherPerson,
    Page[Person],
    Page[OtherPerson],  # type: ignore[valid-type]
    Colour,
    create_model("Address", street=(str, ...), __module__="alike"),
    create_model("Address", person=(OtherPerson, ...), __module__="nested"),
    create_model("ValidationError", text=(str, ...), __module__="unlucky"),
]
ROUTES = st.tuples(
    st.sampled_from(["/a", "/a/{x}", "/b"]),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.sampled_from(MODELS),
    st.sampled_from(MODELS),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROUTES, max_size=8), st.booleans())
def test_any_routes_and_models_give_the_document_of_fastapi(
    routes: list[tuple[str, str, Any, Any]], separate: bool
) -> None:
    app = FastAPI(separate_input_output_schemas=separate)
    for path, method, taken, answered in routes:

        def endpoint(body: taken) -> answered: ...  # type: ignore[valid-type]

        endpoint.__annotations__ = {"body": Annotated[taken, Body()], "return": answered}
        app.add_api_route(path, endpoint, methods=[method])
    assert bytes(build(app).body) == text_of_fastapi(app)


class Unknown:
    """Nothing that a schema could describe."""


def app_with(path: str = "/bad/{x}", **options: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/good")
    def good() -> int:
        raise NotImplementedError

    @app.get(path, **options)
    def bad(x: int) -> None: ...

    return app


def test_a_model_without_a_schema_is_reported_with_its_route() -> None:
    app = app_with()

    @app.post("/call", name="call")
    def call(body: Annotated[dict[str, Callable[[], int]], Body()]) -> None: ...

    with pytest.raises(OpenApiError, match="for the route POST /call: PydanticInvalidForJsonSchema: ") as caught:
        build(app)
    assert re.search(r"test_build\.py:\d+", str(caught.value))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"responses": {"many": {"description": ""}}}, r"for the route GET /bad/{x}: ValueError: "),
        ({"openapi_extra": {"x-limit": Unknown()}}, r"for the (path|route GET) /bad/{x}: "),
    ],
    ids=["response", "object"],
)
def test_an_invalid_description_is_reported_with_its_place(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OpenApiError, match="the OpenAPI document cannot be built " + message):
        build(app_with(**options))

"""What Python reads and writes as JSON and JSON has not: in requests, in answers, and in errors about a request."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from loguru import logger
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from opa.http.strict_json import MAX_DEPTH, loads
from opa.http.validation_answer import MAX_ERRORS
from tests.project import Project, clean_imports

PLUGIN = """
    from typing import Annotated, Any

    from fastapi import Body, Cookie, Form, Header
    from starlette.responses import JSONResponse

    from opa import get_router

    router = get_router()


    @router.post("/echo")
    async def echo(body: Annotated[Any, Body()]):
        return body


    @router.post("/typed")
    async def typed(body: Annotated[Any, Body()]) -> Any:
        return body


    @router.post("/integers")
    async def integers(body: list[int]):
        return body


    @router.post("/mapping")
    async def mapping(body: dict[str, int]):
        return body


    @router.post("/form")
    async def form(text: Annotated[str, Form()], number: Annotated[int, Form()] = 0):
        return text


    @router.get("/query/{path}")
    async def query(
        path: str,
        text: str = "",
        number: float = 0,
        x: Annotated[str, Header()] = "",
        c: Annotated[str, Cookie()] = "",
    ):
        return [path, text, number, x, c]


    NOT_JSON = {"nan": float("nan"), "list": [float("inf"), -float("inf")], "half": "a\\ud800b", "\\udfff": 1}


    @router.get("/not-json")
    async def not_json():
        return NOT_JSON


    @router.get("/not-json-either")
    async def not_json_either():
        return JSONResponse([float("nan")])


    @router.get("/keys")
    async def keys():
        return {"\\ud800": 1, "\\ud801": 2, 1: 3, "1": 4, float("inf"): 5, None: float("nan"), "null": 6}


    @router.get("/pair")
    async def pair():
        return "\\ud83d" + "\\ude00"


    @router.get("/circle")
    async def circle():
        found = [{}]
        found[0]["again"] = found
        return found
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as monkeypatch, clean_imports():
        project = Project(tmp_path_factory.mktemp("json"), monkeypatch)
        project.plugin("echo.py", PLUGIN)
        with project.client(raise_server_exceptions=False) as client:
            yield client


def post(client: TestClient, path: str, body: bytes) -> Any:
    return client.post(path, content=body, headers={"Content-Type": "application/json"})


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize("path", ["/echo", "/typed", "/integers", "/mapping"])
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[NaN]", "NaN is not a number in JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number in JSON"),
        (b"[1, 1e999]", "A number is too large"),
        (b'"\\ud800"', "Half of a surrogate pair, which is not a character"),
        (b'{"\\udfff": 1}', "Half of a surrogate pair, which is not a character"),
        (b'"\xed\xa0\x80"', "The text is not UTF-8"),
        (b'"\xff"', "The text is not UTF-8"),
        (nested(MAX_DEPTH + 1), f"More than {MAX_DEPTH} levels of lists and objects"),
        (b'{"a":' * 700 + b"1" + b"}" * 700, f"More than {MAX_DEPTH} levels of lists and objects"),
        (nested(100_000), f"More than {MAX_DEPTH} levels of lists and objects"),
        (b"9" * 5000, "A number has too many digits"),
    ],
)
def test_a_body_that_no_answer_could_hold_is_refused(client: TestClient, path: str, body: bytes, problem: str) -> None:
    answer = post(client, path, body)
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert (error["type"], error["loc"][0], error["ctx"]) == ("json_invalid", "body", {"error": problem})


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
        b"9" * 4300,
        b'{"__proto__":{"x":1}}',
        '"\U0001f600"'.encode(),
        b"[1e300,-0.0]",
        b'"\\u0000"',
        b"[" + b"[]," * 1000 + b"[]]",
    ],
)
@pytest.mark.parametrize("path", ["/echo", "/typed"])
def test_all_else_is_echoed_as_it_is(client: TestClient, path: str, body: bytes) -> None:
    answer = post(client, path, body)
    assert (answer.status_code, answer.content.lower()) == (200, body.lower().replace(b"e300", b"e+300"))


def test_a_pair_of_escapes_is_one_character(client: TestClient) -> None:
    assert post(client, "/echo", b'"\\ud83d\\ude00"').json() == "\U0001f600"


def test_of_a_key_that_is_there_twice_the_last_one_counts(client: TestClient) -> None:
    assert post(client, "/echo", b'{"a": 1, "a": 2}').json() == {"a": 2}


def test_an_answer_has_null_and_the_replacement_character_for_what_json_has_not(client: TestClient) -> None:
    assert client.get("/not-json").json() == {"nan": None, "list": [None, None], "half": "a\ufffdb", "\ufffd": 1}
    assert client.get("/not-json-either").content == b"[null]"
    assert client.get("/pair").json() == "\U0001f600"


def test_keys_that_become_one_in_json_are_written_each_as_those_of_python_are(client: TestClient) -> None:
    written = json.loads(client.get("/keys").content, object_pairs_hook=list)
    expected = [("\ufffd", 1), ("\ufffd", 2), ("1", 3), ("1", 4), ("Infinity", 5), ("null", None), ("null", 6)]
    assert [tuple(pair) for pair in written] == expected


def test_json_that_a_plugin_reads_and_writes_itself_stays_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_self: Request) -> Any:
        return "read"

    @functools.wraps(JSONResponse.render)  # it calls itself as that which it replaces
    def write(_self: JSONResponse, content: Any) -> bytes:
        return f"written: {content}".encode()

    monkeypatch.setattr(Request, "json", read)
    monkeypatch.setattr(JSONResponse, "render", write)
    project.plugin("echo.py", PLUGIN)
    logged: list[str] = []
    number = logger.add(lambda message: logged.append(message.record["message"]), level="DEBUG")
    with project.client() as client:
        assert post(client, "/echo", b"[NaN]").text == "written: read"
    logger.remove(number)
    assert [line.partition(" is ")[0] for line in logged if "stays so" in line] == [
        "Request.json",
        "JSONResponse.render",
    ]


def test_an_answer_that_is_a_circle_is_an_error_of_the_plugin(client: TestClient) -> None:
    assert client.get("/circle").status_code == 500


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/query/%ED%A0%80?text=%ED%A0%80", ["\ufffd" * 3, "\ufffd" * 3, 0, "", ""]),
        ("/query/%ff?text=%ff&number=nan", ["\ufffd", "\ufffd", None, "", ""]),
        ("/query/a%00b?text=%00&number=inf", ["a\0b", "\0", None, "", ""]),
        (f"/query/a?number={'9' * 400}", ["a", "", None, "", ""]),
    ],
)
def test_paths_and_queries_of_bad_bytes_are_answered(client: TestClient, path: str, expected: list[Any]) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, expected)


def test_headers_and_cookies_of_bad_bytes_are_answered(client: TestClient) -> None:
    answer = client.get("/query/a", headers=[(b"x", b"\xed\xa0\x80"), (b"cookie", b'c="\\377\xff"')])
    assert answer.status_code == 200


def test_forms_of_bad_bytes_are_answered(client: TestClient) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/form", content=b"text=%ED%A0%80", headers=form).json() == "\ufffd" * 3
    answer = client.post("/form", content=b"text=%00&number=%ff", headers=form)
    assert answer.status_code == 422
    for charset in ("bogus", "\xff"):
        multipart = f"multipart/form-data; boundary=x; charset={charset}".encode("latin-1")
        part = b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--x--\r\n'
        assert client.post("/form", content=part, headers=[(b"Content-Type", multipart)]).status_code in (200, 400)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b'"x"'] * 2000) + b"]",
        json.dumps(["x" * 1_000_000]).encode(),
        json.dumps({"x": ["y" * 1000] * 1000}).encode(),
        json.dumps({"x": {str(key): key for key in range(20_000)}}).encode(),
        json.dumps({"k" * 1_000_000: "x"}).encode(),
        nested(MAX_DEPTH),
        b"[" + b"9" * 4300 + b"]",
    ],
    ids=["many errors", "a long text", "a long list", "many keys", "a long key", "deep", "many digits"],
)
@pytest.mark.parametrize("path", ["/integers", "/mapping"])
def test_an_error_about_a_request_is_short_however_long_its_body_is(client: TestClient, path: str, body: bytes) -> None:
    answer = post(client, path, body)
    if answer.status_code == 422:
        assert len(answer.content) < 100_000
        assert 1 <= len(answer.json()["detail"]) <= MAX_ERRORS + 1


def test_an_answer_tells_how_many_errors_it_does_not_show(client: TestClient) -> None:
    errors = post(client, "/integers", b"[" + b",".join([b'"x"'] * 60) + b"]").json()["detail"]
    assert errors[0] == {
        "type": "int_parsing",
        "loc": ["body", 0],
        "msg": "Input should be a valid integer, unable to parse string as an integer",
        "input": "x",
    }
    assert errors[-1] == {"type": "too_many_errors", "loc": [], "msg": "10 more errors are not shown"}


def test_a_handler_of_a_plugin_answers_instead(project: Project) -> None:
    project.plugin("echo.py", PLUGIN)
    project.plugin(
        "ours.py",
        """
        from fastapi.exceptions import RequestValidationError
        from starlette.responses import PlainTextResponse

        exception_handlers = {RequestValidationError: lambda request, error: PlainTextResponse("ours", status_code=400)}
        """,
    )
    with project.client() as client:
        assert post(client, "/integers", b"1").text == "ours"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(categories=None, codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(categories=None, codec=None)), inner),
    max_leaves=20,
)


# More of them by hand: FUZZ_EXAMPLES=20000 python -m pytest …
FUZZ = settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")), deadline=None)


@FUZZ
@given(VALUES)
def test_any_json_of_python_is_read_alike_or_refused(value: Any) -> None:
    text = json.dumps(value)
    try:
        found = loads(text.encode())
    except json.JSONDecodeError:
        assert any(mark in text for mark in ("NaN", "Infinity", "\\u"))
    else:
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
        assert found == json.loads(text)


@FUZZ
@given(st.binary() | st.text('[]{}",:0123456789eE+-.\\ud8NaInfty \0').map(str.encode))
@example(b"\xff\xfe[\x00")
@example(b"")
@example(b"\x00\x00\xfe\xff")
def test_any_bytes_are_read_as_json_or_refused(body: bytes) -> None:
    try:
        found = loads(body)
    except json.JSONDecodeError:
        return
    json.dumps(found, allow_nan=False, ensure_ascii=False).encode()

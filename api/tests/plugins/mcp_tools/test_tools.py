"""Tools that are made of routes: what an assistant is told of them, and what a call of one gives."""

from __future__ import annotations

import asyncio
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import util
from typing import Any

import pytest
from mcp import Client, types

from opa import OpaError, started_application
from tests.project import Project

Do = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def client_of(project: Project, headers: dict[str, str] | None = None) -> AsyncIterator[Client]:
    """A client of the server itself, in this process."""
    project.prepare("command")
    from opa.plugins.mcp_tools.caller import Caller
    from opa.plugins.mcp_tools.server import Tools, server_for

    given = tuple((name.lower().encode(), value.encode()) for name, value in {"host": "x", **(headers or {})}.items())
    caller = Caller({"client": ("192.0.2.7", 1)}, given, actor=None, may_send_tasks=True)
    async with started_application() as app, Client(server_for(Tools(app), lambda _context: caller)) as client:
        yield client


def run(project: Project, do: Do, headers: dict[str, str] | None = None) -> None:
    async def running() -> None:
        async with client_of(project, headers) as client:
            await do(client)

    asyncio.run(running())


def text_of(result: types.CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, types.TextContent)
    return content.text


async def failure(client: Client, name: str, **arguments: Any) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error, result
    return text_of(result)


def test_each_route_with_a_tag_is_described(shop: Project) -> None:
    async def do(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"today", "secret", "hidden", "photo", "cookie", "task_result"}.isdisjoint(tools)
        get, add, delete = tools["get_order"], tools["add_order"], tools["delete_order"]
        assert (get.description, delete.description) == ("Show an order.", "Delete an order.")
        assert get.input_schema["required"] == ["number"]
        assert get.input_schema["properties"]["part"]["description"] == "which parts"
        assert add.input_schema["required"] == ["body"]
        definitions = add.input_schema["$defs"]
        assert add.input_schema["properties"]["body"] == {"$ref": "#/$defs/Order-Input"}
        assert definitions["Order-Input"]["properties"]["article"] == {"$ref": "#/$defs/Article-Input"}
        assert definitions["Article-Input"]["properties"]["parts"]["items"] == {"$ref": "#/$defs/Article-Input"}
        assert set(tools["seen"].input_schema["properties"]) == {"x-trace"}
        hints = [each.annotations for each in (get, add, delete)]
        assert [(hint.read_only_hint, hint.destructive_hint) for hint in hints if hint] == [
            (True, False),
            (False, False),
            (False, True),
        ]

    run(shop, do)


def test_a_call_gives_the_answer_of_the_route(shop: Project) -> None:
    async def do(client: Client) -> None:
        got = await client.call_tool("get_order", {"number": "ä 7?&#", "part": [1, 2]})
        assert got.structured_content == {"number": "ä 7?&#", "parts": [1, 2], "lang": None}
        added = await client.call_tool("add_order", {"body": {"article": {"name": "x", "parts": [{"name": "y"}]}}})
        assert (added.structured_content or {})["article"]["parts"] == [{"name": "y", "parts": []}]
        formed = await client.call_tool("form", {"body": {"name": "a&b", "sizes": [1, 2]}})
        assert formed.structured_content == {"name": "a&b", "sizes": [1, 2]}
        assert text_of(await client.call_tool("file", {"path": "a/b c"})) == '"a/b c"'
        assert text_of(await client.call_tool("delete_order", {"number": 7})) == "done (204)"
        [picture] = (await client.call_tool("picture", {})).content
        assert isinstance(picture, types.ImageContent)
        assert (picture.mime_type, b64decode(picture.data)) == ("image/png", b"\x89PNG\xff")
        [archive] = (await client.call_tool("archive", {})).content
        assert isinstance(archive, types.EmbeddedResource)
        assert archive.resource.mime_type == "application/zip"

    run(shop, do)


def test_a_call_is_a_request_of_the_caller(shop: Project) -> None:
    async def do(client: Client) -> None:
        assert (await client.call_tool("who", {})).structured_content == {"id": "badge:anna", "kind": "badge"}
        seen = (await client.call_tool("seen", {"x-trace": "t"})).structured_content or {}
        assert (seen["client"], seen["trace"], seen["host"]) == ("192.0.2.7", "t", "shop.example")
        assert seen["id"]

    run(shop, do, {"X-Badge": "anna", "host": "shop.example"})


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "status 401: not authenticated"),
        ({"X-Badge": "mallory"}, "status 401: not authenticated"),
        ({"X-Badge": "dora"}, "status 403: the scope orders:read is missing"),
    ],
)
def test_a_route_refuses_whoever_it_refuses(shop: Project, headers: dict[str, str], problem: str) -> None:
    async def do(client: Client) -> None:
        assert await failure(client, "who") == problem

    run(shop, do, headers)


def test_settings_and_hosts_refuse_a_call_as_any_request(shop: Project) -> None:
    shop.settings(ACCESS={"/seen": "signed-in"}, TRUSTED_HOSTS=["shop.example"])

    async def do(client: Client) -> None:
        assert await failure(client, "seen") == "status 401: not authenticated"

    async def foreign(client: Client) -> None:
        assert "status 400" in await failure(client, "get_order", number="7")

    run(shop, do, {"host": "shop.example"})
    run(shop, foreign, {"host": "evil.example"})


def test_errors_of_a_route_are_told_with_the_reason(shop: Project) -> None:
    async def do(client: Client) -> None:
        wrong = await failure(client, "add_order", body={"article": {}, "count": "many"})
        assert wrong.splitlines()[0] == "status 422: the arguments are wrong"
        assert {line.partition(":")[0] for line in wrong.splitlines()[1:]} == {"body.article.name", "body.count"}
        assert (await failure(client, "gone")).startswith("status 503: ")
        refused = await failure(client, "refuses")
        assert refused.startswith("status 409: ")
        assert "hunter2" not in refused
        failed = await failure(client, "fails")
        assert (failed, "LookupError" in failed) == ("status 500: the application failed; its log has the error", False)
        assert "/elsewhere" in await failure(client, "moved")
        assert "413" in await failure(client, "small", body={"text": "x" * 1000})
        assert "413" in await failure(client, "add_order", body={"article": {"name": "x" * 20_000_000}})

    run(shop, do)


def test_arguments_that_fit_no_request_are_refused(shop: Project) -> None:
    async def do(client: Client) -> None:
        assert "part.0" in await failure(client, "get_order", number="7", part=["x"])
        assert "number: is missing" in await failure(client, "get_order")
        assert "nope: there is no such argument" in await failure(client, "get_order", number="7", nope=1)
        assert "lang: " in await failure(client, "get_order", number="7", lang={"a": 1})
        assert "half a character" in await failure(client, "get_order", number="\ud800")
        assert "a header" in await failure(client, "seen", **{"x-trace": "a\r\nx-badge: anna"})
        assert "body" in await failure(client, "form", body=[1])
        assert "there is no tool" in await failure(client, "x" * 10_000)

    run(shop, do)


@pytest.mark.parametrize("number", ["today", "7/secret", "", ".", "..", "7\n", "../files/x", "7\0"])
def test_an_argument_leads_to_no_other_route(shop: Project, number: str) -> None:
    async def do(client: Client) -> None:
        text = await failure(client, "get_order", number=number)
        assert "no tool" not in text
        assert "lead to another route" in text or "can stand in no path" in text

    run(shop, do)


def test_an_argument_that_looks_like_a_part_of_the_path_is_what_it_is(project: Project) -> None:
    project.settings(MCP_TAGS=["ai"])
    project.plugin(
        "shelves.py",
        """
        from opa import get_router

        router = get_router()

        @router.get("/shelves/{shelf}/{place}", operation_id="place", tags=["ai"])
        def place(shelf: str, place: str) -> list[str]:
            return [shelf, place]
        """,
    )

    async def do(client: Client) -> None:
        found = await client.call_tool("place", {"shelf": "{place}", "place": "{shelf}"})
        assert text_of(found) == '["{place}","{shelf}"]'

    run(project, do)


def test_a_credential_is_no_argument(shop: Project) -> None:
    async def do(client: Client) -> None:
        assert "no such argument" in await failure(client, "seen", authorization="Bearer x")
        assert (await client.call_tool("seen", {})).structured_content

    run(shop, do)


def test_an_answer_has_a_size_and_an_end(shop: Project) -> None:
    async def do(client: Client) -> None:
        assert len(text_of(await client.call_tool("large", {"size": 1_000_000}))) == 1_000_000
        for name, arguments in (("large", {"size": 1_000_001}), ("stream", {})):
            assert "more than 1,000,000 bytes" in await failure(client, name, **arguments)
        assert "stream of events" in await failure(client, "events")

    run(shop, do)


def test_two_hundred_calls_at_once_are_all_answered(shop: Project) -> None:
    async def do(client: Client) -> None:
        calls = [client.call_tool("get_order", {"number": f"n{number}"}) for number in range(200)]
        answers = [result.structured_content or {} for result in await asyncio.gather(*calls)]
        assert [answer["number"] for answer in answers] == [f"n{number}" for number in range(200)]

    run(shop, do)


@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_names_fit_clients_and_are_told_apart(project: Project) -> None:
    project.settings(MCP_TAGS="ai, more")
    project.plugin(
        "many.py",
        """
        from opa import get_router, task

        router = get_router()

        @router.api_route("/both", methods=["GET", "POST"], operation_id="both", tags=["ai"])
        def both(): return "both"

        @router.get("/long", operation_id="lo ng" * 40, tags=["more"])
        def long(): return "long"

        @router.get("/query/{body}", operation_id="query", tags=["ai"])
        def query(body: str, x: int = 1): return body

        @router.get("/task", operation_id="task_result", tags=["ai"])
        def named(): return "a route"

        @task(name="both", tags=("more",))
        def both_task(): pass
        """,
    )

    async def do(client: Client) -> None:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert len(set(names)) == len(names)
        assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)
        assert {"both", "both_post", "both_task", "task_result", "task_result_get"} <= set(names)
        assert text_of(await client.call_tool("task_result_get", {})) == '"a route"'
        assert text_of(await client.call_tool("query", {"body": "b"})) == '"b"'

    run(project, do)


def test_a_route_behind_another_one_of_its_path_is_no_tool(project: Project) -> None:
    project.settings(MCP_TAGS=["ai"])
    project.plugin(
        "a_first.py",
        """
        from opa import get_router

        router = get_router()

        @router.get("/x", operation_id="first")
        def first(): return "no tool"
        """,
    )
    project.plugin(
        "b_second.py",
        """
        from opa import get_router

        router = get_router()

        @router.get("/x", operation_id="second", tags=["ai"])
        def second(): return "second"
        """,
    )

    async def do(client: Client) -> None:
        assert (await client.list_tools()).tools == []

    run(project, do)


def test_without_a_path_nothing_of_the_library_is_imported(shop: Project) -> None:
    before = set(sys.modules)
    shop.app()
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] == "mcp"}


def test_a_path_without_tags_or_library_stops_the_start(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.settings(MCP_URL="/mcp")
    with pytest.raises(OpaError, match="MCP_TAGS names no tag"):
        project.app()
    project.settings(MCP_TAGS=["ai"])
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *more: None if name == "mcp" else find_spec(name, *more))
    with pytest.raises(OpaError, match=r"opa-stack\[mcp\]"):
        project.app()

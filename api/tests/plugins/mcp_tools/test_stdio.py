"""`opa mcp` as an assistant starts it: a process, with which a client speaks over its standard input and output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from opa.plugins.access_keys.making import new_key
from tests.plugins.mcp_tools.shop import TASKS, write_shop
from tests.plugins.mcp_tools.test_tools import failure, text_of
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.tasks.workers import task_project

COMMAND = [sys.executable, "-m", "opa", "mcp"]
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def environ(project: Project, **more: str) -> dict[str, str]:
    names = ("PATH", "HOME", "PYTHONPATH", "OPA_SETTINGS_DIR", "PYTHONDONTWRITEBYTECODE")
    return {name: os.environ[name] for name in names if name in os.environ} | more


@asynccontextmanager
async def assistant(project: Project, mode: str = "auto", **more: str) -> AsyncIterator[Client]:
    """A client of `opa mcp` in the project; its log is in `log.txt`."""
    command = StdioServerParameters(
        command=COMMAND[0], args=COMMAND[1:], cwd=project.folder, env=environ(project, **more)
    )
    with (project.folder / "log.txt").open("a") as log:
        async with Client(stdio_client(command, errlog=log), mode=mode) as client:
            yield client


@pytest.fixture
def start(project: Project) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start `opa mcp`, for a test that writes the lines itself."""
    started: list[subprocess.Popen[bytes]] = []

    def process(**more: str) -> subprocess.Popen[bytes]:
        with (project.folder / "log.txt").open("a") as log:
            started.append(
                subprocess.Popen(
                    COMMAND,
                    cwd=project.folder,
                    env=environ(project, **more),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            )
        return started[-1]

    yield process
    for each in started:
        each.kill()
        each.wait()
        for stream in (each.stdin, each.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def say(process: subprocess.Popen[bytes], *messages: Any) -> None:
    assert process.stdin is not None
    for message in messages:
        process.stdin.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def call(number: int, name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def test_in_development_the_calls_are_those_of_the_user(shop: Project) -> None:
    shop.plugin(
        "prints.py",
        """
        import sys

        from opa import get_router

        router = get_router()

        @router.get("/prints", operation_id="prints", tags=["assistant"])
        def prints():
            print("what a plugin prints is no message")
            return sys.stdin.read()
        """,
    )

    async def do() -> None:
        async with assistant(shop, ENV="dev") as client:
            assert {"get_order", "who"} <= {tool.name for tool in (await client.list_tools()).tools}
            who = (await client.call_tool("who", {})).structured_content or {}
            assert (who["kind"], "@" in who["id"]) == ("person", True)
            assert text_of(await client.call_tool("prints", {})) == '""'
            calls = [client.call_tool("get_order", {"number": f"n{number}"}) for number in range(200)]
            answers = [result.structured_content or {} for result in await asyncio.gather(*calls)]
            assert [answer["number"] for answer in answers] == [f"n{number}" for number in range(200)]
            large = {"article": {"name": "x" * 20_000_000}}
            assert "413" in await failure(client, "add_order", body=large)
            assert "no tool" in await failure(client, "nope")
        async with assistant(shop, mode="legacy") as client:
            assert await failure(client, "who") == "status 401: not authenticated"

    asyncio.run(do())


def test_with_a_key_the_calls_are_those_of_its_owner(shop: Project) -> None:
    record, token = new_key("bot", ("orders:read",), None, datetime.now(UTC))
    shop.settings(ACCESS_KEYS={"bot": record.as_mapping()})
    shop.plugin("jobs.py", TASKS)

    async def do() -> None:
        async with assistant(shop, ENV="dev", OPA_MCP_KEY=token) as client:
            who = (await client.call_tool("who", {})).structured_content or {}
            assert who == {"id": "key:bot", "kind": "key"}
            assert await failure(client, "jobs_tells") == "status 403: the scope mcp:tasks is missing"
            assert await failure(client, "task_result", id="x") == "status 403: the scope mcp:tasks is missing"

    asyncio.run(do())
    refused = subprocess.run(
        COMMAND,
        cwd=shop.folder,
        env=environ(shop, OPA_MCP_KEY=token[:-1] + ("y" if token.endswith("x") else "x")),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (refused.returncode, refused.stdout, "MCP_KEY is refused" in refused.stderr) == (1, "", True)
    assert token[:-1] not in refused.stderr + (shop.folder / "log.txt").read_text()


def test_lines_that_are_no_messages_do_not_end_it(shop: Project, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    process = start()
    say(process, HELLO)
    assert hear(process)["result"]["serverInfo"]["name"]
    say(process, READY, b"{", b"\xff\x00", b"[]", b"", b'"x"', b"[" * 100_000, b'{"jsonrpc": "2.0"}')
    say(process, {"jsonrpc": "2.0", "id": 2, "method": "nope"}, call(3, "get_order", number="7"))
    say(process, {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": ["x"], "arguments": 7}})
    answers: dict[Any, dict[str, Any]] = {}
    while not {2, 3, 4} <= answers.keys():
        answer = hear(process)
        answers[answer.get("id")] = answer
    assert answers[3]["result"]["structuredContent"]["number"] == "7"
    assert "error" in answers[2]
    assert "error" in answers[4]
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


def test_a_call_ends_when_it_is_cancelled_and_with_the_input(
    shop: Project, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = start()
    say(process, HELLO)
    hear(process)
    say(process, READY, call(2, "slow"))

    def state(number: int) -> dict[str, int]:
        say(process, call(number, "slow_state"))
        while (answer := hear(process))["id"] != number:
            pass
        found: dict[str, int] = answer["result"]["structuredContent"]
        return found

    numbers = iter(range(10, 10_000))
    wait_until(lambda: state(next(numbers))["started"], what="the route runs")
    say(process, {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}})
    wait_until(lambda: state(next(numbers))["ended"], what="the route has ended")
    say(process, call(5, "slow"))
    wait_until(lambda: state(next(numbers))["started"] == 2, what="the route runs again")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 0


@pytest.mark.parametrize("how", ["nobody reads", "SIGTERM"])
def test_it_ends_with_its_assistant(shop: Project, start: Callable[..., subprocess.Popen[bytes]], how: str) -> None:
    shop.plugin("leaves.py", "from pathlib import Path\n\ndef shutdown():\n    Path('left').touch()\n")
    process = start()
    say(process, HELLO)
    hear(process)
    say(process, READY, call(2, "slow"), call(3, "get_order", number="7"))
    hear(process)
    assert process.stdin is not None
    assert process.stdout is not None
    if how == "nobody reads":
        process.stdout.close()
        say(process, call(4, "get_order", number="7"))
    else:
        process.send_signal(signal.Signals[how])
    status = process.wait(60)
    log = (shop.folder / "log.txt").read_text()
    assert "Traceback" not in log
    assert "nothing caught" not in log
    assert (shop.folder / "left").exists(), log
    assert status == 0


def test_a_task_is_sent_and_what_became_of_it_is_told(
    project: Project, start_redis: Callable[[], Server], tmp_path: Path
) -> None:
    server = start_redis()
    write_shop(project)
    project.plugin("jobs.py", TASKS)
    project.component("AIOREDIS", "redis-aioredis", URL=f"{server.url}/3")
    with task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2") as tasks:
        tasks.worker()

        async def result_of(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
            sent = (await client.call_tool(name, arguments)).structured_content or {}
            assert sent["state"] == "PENDING", sent
            told = await client.call_tool("task_result", {"id": sent["id"], "wait": 60})
            return told.structured_content or {}

        async def do() -> None:
            async with assistant(project, ENV="dev") as client:
                tools = {tool.name: tool for tool in (await client.list_tools()).tools}
                assert "jobs_odd" not in tools
                assert "jobs_private" not in tools
                assert tools["jobs_restock"].input_schema["required"] == ["item", "day"]
                assert tools["jobs_fails"].input_schema["properties"]["number"]["default"] == 3
                done = await result_of(client, "jobs_restock", item={"name": "milk"}, day="2026-11-30")
                assert done["state"] == "SUCCESS"
                assert done["result"] == {"item": "milk", "count": 1, "day": "2026-11-30", "kind": "Item"}
                failed = await result_of(client, "jobs_fails")
                assert failed["state"] == "FAILURE"
                assert failed["error"].startswith("LookupError: no 3")
                assert "hunter2" not in failed["error"]
                assert (await result_of(client, "jobs_tells"))["result"]["password"] != "hunter2"
                wrong = await failure(client, "jobs_restock", item={"count": "x"}, day="never")
                assert {line.partition(":")[0] for line in wrong.splitlines()[1:]} == {"item.name", "item.count", "day"}
                long = (await client.call_tool("jobs_sleeps", {"seconds": 3600})).structured_content or {}
                told = await client.call_tool("task_result", {"id": long["id"], "wait": 0.1})
                assert (told.structured_content or {})["state"] in ("PENDING", "STARTED")
                assert "nobody knows" in await failure(client, "task_result", id="no-such-id")
                for arguments in (
                    {"id": 7},
                    {"id": ""},
                    {"id": "x\n"},
                    {"id": "x", "wait": 61},
                    {"id": "x", "wait": True},
                ):
                    assert await failure(client, "task_result", **arguments)
                server.kill()
                assert "nothing was sent" in await failure(client, "jobs_tells")
                assert "does not answer" in await failure(client, "task_result", id=long["id"])

        asyncio.run(do())
    log = (project.folder / "log.txt").read_text()
    assert ": tasks.run" in log
    assert "hunter2" not in log
    assert "task jobs.odd is not a tool for assistants" in log

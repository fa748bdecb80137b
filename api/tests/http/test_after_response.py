from __future__ import annotations

import pytest

from opa import after_response
from tests.project import Project

PLUGIN = """
    import asyncio
    from fastapi import BackgroundTasks, WebSocket
    from opa import after_response, get_actor, get_request_id, get_router

    router = get_router()
    seen = []

    def later(what):
        async def run():
            await asyncio.sleep(0)
            seen.append(f"{what} {get_request_id() is not None} {after_response(None)}")
        return run

    async def fails():
        raise ValueError("of what runs later")

    @router.get("/async")
    async def asynchronous(tasks: BackgroundTasks):
        tasks.add_task(seen.append, "background")
        seen.append(after_response(fails))
        seen.append(after_response(later("first")))
        seen.append(after_response(later("second")))

    @router.get("/exits")
    async def exits():
        async def leaves():
            raise SystemExit(3)
        async def cancels():
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task
        for function in (leaves, cancels, later("behind")):
            after_response(function)

    @router.get("/sync")
    def synchronous():
        seen.append(after_response(later("sync")))

    @router.get("/broken")
    async def broken():
        after_response(later("broken"))
        raise ValueError("of the route")

    @router.get("/late")
    async def late():
        async def ask():
            await asyncio.sleep(0)
            while "late over" not in seen:
                await asyncio.sleep(0.01)
            seen.append(after_response(later("late")))
        async def over():
            seen.append("late over")
        after_response(over)
        router.kept = asyncio.create_task(ask())

    @router.websocket("/live")
    async def live(websocket: WebSocket):
        await websocket.accept()
        await websocket.send_json(after_response(later("websocket")))
        await websocket.close()
"""


def test_what_is_to_run_after_a_response_runs_then(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.plugin("shop.py", PLUGIN)
    project.settings(REQUEST_ID=True)
    with project.client(raise_server_exceptions=False) as client:
        import shop  # type: ignore[import-not-found]

        def seen(path: str) -> list[object]:
            shop.seen.clear()
            client.get(path)
            return list(shop.seen)

        assert seen("/async") == [True, True, True, "background", "first True False", "second True False"]
        assert "what was to run after a response failed: ValueError: of what runs later" in "".join(capsys.readouterr())
        assert seen("/exits") == ["behind True False"]
        log = "".join(capsys.readouterr())
        assert "failed: RuntimeError: it calls sys.exit(3) while it answers a request" in log
        assert "failed: RuntimeError: it awaits what is cancelled" in log
        assert seen("/sync") == [True, "sync True False"]
        assert seen("/broken") == ["broken True False"]
        assert seen("/late")[0] == "late over"
        while shop.seen == ["late over"]:
            client.get("/nothing")
        assert shop.seen == ["late over", False]
        with client.websocket_connect("/live") as websocket:
            assert websocket.receive_json() is False


def test_outside_of_a_request_there_is_no_response() -> None:
    async def nothing() -> None: ...

    assert after_response(nothing) is False

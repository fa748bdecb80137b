"""Request processors in the group `middleware`."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from opa.errors import GroupError
from tests.project import Project

PROCESSORS = """
import threading
from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

threads = []

def note(request):
    threads.append(threading.current_thread())
    request.state.notes = [*getattr(request.state, "notes", []), request.method, request.path, request.remote_addr]
    return request

async def note_later(request):
    threads.append(threading.current_thread())
    request.state.notes = [*getattr(request.state, "notes", []), "async"]

def elsewhere(request):
    return Request({**request.scope, "path": "/elsewhere"})

def answer(request):
    return PlainTextResponse("answered", 202)

def forbid(request):
    raise HTTPException(403, "not you")

def own(request):
    raise OwnError("own")

class OwnError(Exception):
    pass

async def on_own(request, error):
    return PlainTextResponse(f"handled {error}", 418)

exception_handlers = {OwnError: on_own}

def broken(request):
    raise ValueError("broken")

def wrong(request):
    return "text"

async def body(request):
    await request.body()

class Prefix:
    def __init__(self):
        self.text = "default"

    def configure(self, text):
        self.text = text

    def process(self, request):
        request.state.notes = [*getattr(request.state, "notes", []), self.text]
        return request

prefix = Prefix()

class Later(Prefix):
    async def process(self, request):
        return super().process(request)

class Fails:
    def __init__(self):
        raise ValueError("no")

    def process(self, request):
        return request

def process(request):
    return Prefix().process(request)

def factory(text):
    made = Prefix()
    made.configure(text)
    return made.process
"""

NOTES = """
from fastapi import Request, WebSocket
from opa import get_router

router = get_router()

@router.post("/notes")
@router.get("/notes")
def notes(request: Request):
    return getattr(request.state, "notes", [])

@router.get("/elsewhere")
def elsewhere():
    return "elsewhere"

@router.websocket("/ws")
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_json(getattr(websocket.state, "notes", []))
    await websocket.close()
"""


def served(project: Project, *members: Any) -> Any:
    project.plugin("steps.py", PROCESSORS)
    project.plugin("notes.py", NOTES)
    project.settings(PLUGINS={"middleware": list(members)})
    return project.client()


def test_a_function_of_request_sees_each_request_before_what_is_behind_it(project: Project) -> None:
    with served(project, "steps.note") as client:
        assert client.get("/notes").json() == ["GET", "/notes", "testclient"]
        assert client.post("/notes").json() == ["POST", "/notes", "testclient"]


def test_a_synchronous_one_runs_in_a_thread_beside_the_event_loop_and_an_asynchronous_one_on_it(
    project: Project,
) -> None:
    with served(project, "steps.note", "steps.note_later") as client:
        assert client.get("/notes").json() == ["GET", "/notes", "testclient", "async"]
        beside, on_the_loop = sys.modules["steps"].threads
    assert isinstance(beside, threading.Thread)
    assert beside is not on_the_loop


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("steps.Prefix", "default"),
        ({"URI": "steps.Prefix", "OPTS": {"text": "given"}}, "given"),
        ("steps.prefix", "default"),
        ({"URI": "steps.prefix", "OPTS": {"text": "given"}}, "given"),
        ("steps.Later", "default"),
        ("steps", "default"),
        ({"URI": "steps.factory", "OPTS": {"text": "made"}, "FACTORY": True}, "made"),
    ],
    ids=str,
)
def test_process_of_a_class_an_object_or_a_module_and_what_a_factory_makes(
    project: Project, member: Any, text: str
) -> None:
    with served(project, member) as client:
        assert client.get("/notes").json() == [text]


def test_processors_are_in_one_order_with_asgi_middleware(project: Project) -> None:
    project.plugin(
        "asgi.py",
        """
        from opa import BaseMiddleware

        class Between(BaseMiddleware):
            async def __call__(self, scope, receive, send):
                if scope["type"] == "http":
                    scope["state"]["notes"] = [*scope["state"].get("notes", []), "between"]
                await self.app(scope, receive, send)
        """,
    )
    with served(project, "steps.Prefix", "asgi.Between", "steps.note_later") as client:
        assert client.get("/notes").json() == ["default", "between", "async"]


def test_another_request_that_a_processor_returns_is_passed_on_instead(project: Project) -> None:
    with served(project, "steps.elsewhere") as client:
        assert client.get("/notes").json() == "elsewhere"


def test_a_response_that_it_returns_is_the_answer(project: Project) -> None:
    with served(project, "steps.answer", "steps.broken") as client:
        response = client.get("/notes")
    assert (response.status_code, response.text) == (202, "answered")


def test_an_exception_of_a_request_processor_goes_to_the_exception_handlers(project: Project) -> None:
    with served(project, "steps.forbid") as client:
        response = client.get("/notes")
    assert (response.status_code, response.json()) == (403, {"detail": "not you"})
    with served(project, "steps.own") as client:
        response = client.get("/notes")
    assert (response.status_code, response.text) == (418, "handled own")


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("steps.broken", "ValueError: broken"),
        ("steps.wrong", "TypeError: 'steps.wrong' in the group middleware returned a str, not the request"),
        ("steps.body", "RuntimeError: Receive channel has not been made available"),
    ],
)
def test_an_error_without_a_handler_is_a_500_and_stands_in_the_log(project: Project, member: str, words: str) -> None:
    with served(project, member) as client:
        with pytest.raises(Exception) as caught:
            client.get("/notes")
        assert words in f"{type(caught.value).__name__}: {caught.value}"
        quiet = TestClient(client.app, raise_server_exceptions=False)
        assert quiet.get("/notes").status_code == 500


def test_a_handler_of_every_exception_answers_and_the_error_still_stands_in_the_log(project: Project) -> None:
    project.plugin(
        "handling.py",
        """
        from starlette.responses import PlainTextResponse

        async def sorry(request, error):
            return PlainTextResponse(f"sorry: {error}", 500)

        exception_handlers = {Exception: sorry}
        """,
    )
    with served(project, "steps.broken") as client:
        with pytest.raises(ValueError, match="broken"):
            client.get("/notes")
        quiet = TestClient(client.app, raise_server_exceptions=False)
        assert quiet.get("/notes").text == "sorry: broken"


def test_websockets_pass(project: Project) -> None:
    with served(project, "steps.note") as client, client.websocket_connect("/ws") as websocket:
        assert websocket.receive_json() == []


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("steps.Fails", "'steps.Fails' in the group middleware raised ValueError: no"),
        ({"URI": "steps.note", "OPTS": {"x": 1}}, "'steps.note' in the group middleware has OPTS"),
        ({"URI": "steps.Prefix", "OPTS": {"x": 1}}, "unexpected keyword argument 'x'"),
    ],
    ids=str,
)
def test_a_processor_that_cannot_be_created_stops_the_start(project: Project, member: Any, words: str) -> None:
    with pytest.raises(GroupError, match=words), served(project, member):
        pass


def test_a_class_with_call_is_asgi_middleware_whatever_else_it_has(project: Project) -> None:
    project.plugin(
        "both.py",
        """
        from opa import BaseMiddleware

        class Both(BaseMiddleware):
            def process(self, request):
                raise AssertionError("not called")
        """,
    )
    with served(project, "both.Both") as client:
        assert client.get("/notes").json() == []

"""In development the supervisor keeps the listening socket, so that clients wait for the next process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import uvloop

from opa._util.flag import Flag
from opa.current import current
from opa.process import orphans
from opa.process.listen import listening_socket, refuse_connections, refuses_connections
from opa.serve import server as server_module
from opa.serve import waited
from opa.serve.command import MISTAKE, command
from opa.serve.handed import Handed
from opa.serve.kept_socket import KeptSocket
from opa.serve.mistake_page import Server as Page
from opa.serve.mode_process import MistakePage, ModeProcess
from opa.serve.server import Server, ServerConfig
from opa.serve.waited import WaitedProtocol
from opa.settings.load import Config
from tests.project import Project
from tests.serve.process import Opa, children_of, free_port, is_running, links_of, wait_until
from tests.serve.raw import Raw, get

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can refuse connections in between")

SLOW = """
import pathlib
import subprocess
import sys
import time

from opa import get_router

if {word!r} == "two":  # what keeps all descriptors that it may
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
while not pathlib.Path({file!r}).exists():
    time.sleep(0.02)
router = get_router()


@router.get("/word")
def word():
    return {word!r}
"""
COUNT = """
from opa import get_router

router = get_router()
calls = []


@router.get("/count")
async def count():
    calls.append(None)
    return len(calls)
"""
HELD = """
import asyncio
import pathlib

from opa import get_router

router = get_router()


@router.get("/held")
async def held():
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.02)
    return "done"
"""


def settings(port: int, host: str = "127.0.0.1", **more: Any) -> Config:
    return Config({"HOST": host, "PORT": port, "DEBUGPY": False, "DEBUGPY_WAIT": False} | more)


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # reset: it was closed just now
        return False
    return False


@contextlib.contextmanager
def waiting(port: int, count: int, path: str = "/word") -> Iterator[list[Raw]]:
    """Clients that have asked at once."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(port, timeout=240)) for _ in range(count)]
        for client in clients:
            client.send(get(path, "Connection: close"))
        yield clients


def test_the_socket_stays_open_until_the_settings_have_another_place(tmp_path: Path) -> None:
    kept, first, second = KeptSocket(), free_port(), free_port()
    handed = kept.keep(settings(first))
    assert handed is not None
    with Raw(first):
        assert kept.keep(settings(first)) == handed
    assert kept.is_for(settings(first))
    assert not kept.is_for(settings(second))

    moved = kept.keep(settings(second))
    assert moved is not None
    assert refuses(first)
    Raw(second).socket.close()
    kept.close()
    assert refuses(second)

    with listening_socket("127.0.0.1", second):
        assert kept.keep(settings(second)) is None, "the process says that it is taken"
    assert kept.keep(settings(1, host="no\0host")) is None
    assert kept.keep(settings(second, DEBUGPY=True, DEBUGPY_WAIT=True)) is None, "nobody waits for a debugger"
    any_port = kept.keep(settings(0))
    assert any_port is not None
    assert kept.keep(settings(0)) == any_port
    kept.close()


def test_a_socket_that_refuses_connections_is_opened_anew() -> None:
    kept, port = KeptSocket(), free_port()
    kept.keep(settings(port))
    kept.refuse()
    assert refuses(port)
    assert not kept.is_for(settings(port))
    kept.keep(settings(port))
    assert not refuses(port)
    kept.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", ""])
def test_what_is_handed_is_read_from_an_argument_and_passed_on_to_nobody(host: str) -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        listener.set_inheritable(True)
        handed = Handed(listener.fileno(), host, 8000)
        assert Handed.from_argument(str(handed)) == handed
        assert not listener.get_inheritable()


def test_nobody_waits_at_a_socket_for_which_the_process_has_other_settings() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        handed = Handed(listener.dup().detach(), "127.0.0.1", port)
        assert handed.socket_for(settings(port, host="0.0.0.0")) is None
        assert refuses(port)
        assert refuses_connections(listener)


@pytest.mark.parametrize(("status", "is_closed"), [(3, True), (MISTAKE, False)], ids=["crash", "mistake"])
def test_nobody_waits_for_a_process_that_has_ended_but_for_the_page(
    status: int, is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "end_orphans", lambda **_: 0)
    port, page = free_port(), MistakePage()
    process = ModeProcess(page)
    process.config = settings(port)
    monkeypatch.setattr(process, "_command", lambda _handed: [sys.executable, "-c", f"import os; os._exit({status})"])
    try:
        process.start()
        with Raw(port) as client:
            wait_until(lambda: process.end() == status)
            assert refuses(port) is is_closed
            process.stop(1)
            assert client.is_closed()
            assert refuses(port)
    finally:
        process.forget()


def test_nobody_waits_for_a_page_that_has_ended_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "end_orphans", lambda **_: 0)
    port, page = free_port(), MistakePage()
    process = ModeProcess(page)
    process.config = settings(port, ALLOW_ORIGINS=[])
    try:
        process.show_mistakes()
        with waiting(port, 1) as [client]:
            assert client.status() == 503
        process.look_after_page()
        assert not refuses(port)
        page.kill()
        process.look_after_page()
        assert refuses(port)
    finally:
        process.stop(1)
        process.forget()


def test_clients_wait_for_the_new_process_and_for_the_page_with_a_mistake(opa: Opa) -> None:
    go, port_file = opa.folder / "go", opa.folder / "settings" / "port.yaml"
    del opa.environ["OPA_PORT"]
    port_file.write_text(f"default: {{PORT: {opa.port}}}\n")
    opa.plugin("word.py", SLOW.format(word="one", file=str(opa.folder)))
    opa.start(OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    wait_until(lambda: opa.answers("/word", "one"), what=lambda: opa.log)

    def change(text: str) -> None:
        """Change the plugin, and wait until what has served before is gone."""
        go.unlink(missing_ok=True)
        before = opa.serving()
        opa.plugin("word.py", text)
        wait_until(lambda: not is_running(before), what=lambda: opa.log)

    change(SLOW.format(word="two", file=str(go)))
    with waiting(opa.port, 200) as clients:
        go.touch()
        assert {client.answer()[2] for client in clients} == {b'"two"'}
    serving = opa.serving()
    listener = links_of(serving) & sockets_of(opa.port)
    assert len(listener) == 1
    started = children_of(serving)
    assert started
    assert not any(links_of(pid) & listener for pid in started), "they would keep the port"

    change("def broken(:\n")
    with waiting(opa.port, 20) as clients:
        assert {client.status() for client in clients} == {503}
    wait_until(lambda: "restarts when a file changes" in opa.log, what=lambda: opa.log)
    change(SLOW.format(word="three", file=str(go)))
    with waiting(opa.port, 20) as clients:
        go.touch()
        assert {client.answer()[2] for client in clients} == {b'"three"'}

    left, opa.port = opa.port, free_port()
    port_file.write_text(f"default: {{PORT: {opa.port}}}\n")
    wait_until(lambda: opa.answers("/word", "three"), what=lambda: opa.log)
    assert refuses(left)
    assert opa.stop() == 0
    for port in (left, opa.port):
        listening_socket("127.0.0.1", port).close()


def test_a_process_that_is_told_to_end_leaves_who_connects_to_the_next_one_and_finishes_what_it_has_begun(
    opa: Opa,
) -> None:
    begun, go = opa.folder / "begun", opa.folder / "go"
    opa.plugin("held.py", HELD)
    log = opa.folder / "log.txt"
    with listening_socket("127.0.0.1", opa.port) as listener, log.open("ab") as output:
        handed = Handed(listener.fileno(), "127.0.0.1", opa.port)
        process = subprocess.Popen(
            command(os.getpid(), opa.folder / "mistakes", opa.folder / "imports", handed),
            cwd=opa.folder,
            env=opa.environ | {"OPA_RELOAD": "true"},
            stdout=output,
            stderr=output,
            pass_fds=[handed.descriptor],
        )
        try:
            with waiting(opa.port, 1, "/held") as [client]:
                wait_until(begun.exists, what=lambda: opa.log)
                process.terminate()
                wait_until(lambda: "Shutting down" in opa.log, what=lambda: opa.log)
                with waiting(opa.port, 1, "/next"):
                    go.touch()
                    assert client.answer()[2] == b'"done"'
                    assert process.wait(60) == 0
                    listener.settimeout(20)
                    connection, _ = listener.accept()
                    with connection:
                        assert connection.recv(100).startswith(b"GET /next")
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("ends", [False, True], ids=["reload", "end"])
def test_who_connects_while_a_process_ends_is_left_to_the_next_one_unless_there_is_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    monkeypatch.setattr(current, "is_stopping", False)
    app = project.app()

    class Ending(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.should_exit = True

        async def _drain(self) -> None:
            late.send(get("/healthz"))
            for _ in range(20):
                await asyncio.sleep(0)

    with listening_socket("127.0.0.1", 0) as listener:
        server = Ending(ServerConfig(project.config(), app), alone=True, has_successor=True)
        with Raw(listener.getsockname()[1]) as late:
            if ends:
                refuse_connections(listener)
            uvloop.run(server.serve([listener.dup()]))
            if ends:
                assert late.status() == 200
                return
            listener.settimeout(20)
            with listener.accept()[0] as connection:
                assert connection.recv(100) == get("/healthz")


def test_a_client_that_has_just_connected_is_answered_where_a_reload_ends_the_process(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MIN_DRAIN", 60)
    monkeypatch.setattr(current, "is_stopping", False)
    with listening_socket("127.0.0.1", 0) as listener:
        server = Server(ServerConfig(project.config(), project.app()), alone=True, has_successor=True)
        server.min_drain = server.max_drain = 0

        def ask() -> int:
            with Raw(listener.getsockname()[1]) as client:
                wait_until(lambda: server.config.connections.newcomers)
                server.should_exit = True
                wait_until(lambda: current.is_stopping)
                client.send(get("/healthz"))
                return client.status()

        with ThreadPoolExecutor() as pool:
            status = pool.submit(ask)
            uvloop.run(server.serve([listener.dup()]))
            assert status.result() == 200


@pytest.mark.parametrize(("min_wait", "answer"), [(0, b"1"), (3_600_000, b"6")], ids=["waited", "at once"])
def test_a_request_whose_client_has_given_up_before_the_process_accepts_it_is_not_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, min_wait: int, answer: bytes
) -> None:
    monkeypatch.setattr(waited, "MIN_WAIT", min_wait)
    monkeypatch.setattr(current, "is_stopping", False)
    project.plugin("count.py", COUNT)
    with listening_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with waiting(port, 5, "/count"):
            pass  # they have gone
        server = Server(ServerConfig(project.config(), project.app(), WaitedProtocol), alone=True)
        with waiting(port, 1, "/count") as [client], ThreadPoolExecutor() as pool:
            answered = pool.submit(client.answer)
            answered.add_done_callback(lambda _: setattr(server, "should_exit", True))
            uvloop.run(server.serve([listener.dup()]))
            assert answered.result()[2] == answer


def test_the_page_leaves_who_connects_to_the_api_unless_all_of_it_ends() -> None:
    stop = Flag()
    stop.set()
    for ends in (False, True):
        with listening_socket("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            page = Page((), "127.0.0.1", port, handed=listener.dup())
            with waiting(port, 2, "/") as [first, second]:
                page.handle_request()
                if ends:
                    refuse_connections(listener)
                page.serve_until(stop)
                assert first.status() == 503
                if ends:
                    assert second.status() == 503
                else:
                    listener.settimeout(20)
                    connection, _ = listener.accept()
                    with connection:
                        assert connection.recv(100) == get("/", "Connection: close")


def sockets_of(port: int) -> set[str]:
    """What a descriptor of a socket is that listens on a port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return {f"socket:[{words[9]}]" for words in lines if words[1].endswith(f":{port:04X}") and words[3] == "0A"}

from __future__ import annotations

import asyncio
import os
import socket
import sys

import pytest
import uvloop

from opa.errors import StartError
from opa.process.error_report import print_error
from opa.process.listen import Listeners, address_of, listening_socket, refuse_connections, refuses_connections


def test_port_0_listens_on_a_free_port() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        assert address_of(listener) == f"http://{host}:{port}"
        socket.create_connection((host, port)).close()


def test_an_ipv6_address_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        listener = listening_socket("::1", 0)
    except StartError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        assert address_of(listener).startswith("http://[::1]:")


def test_a_port_that_is_taken_is_refused_with_what_to_do_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}: .*OPA_PORT") as caught:
            listening_socket("127.0.0.1", port)
        with pytest.raises(StartError, match=r"settings OPERATING_HOST and OPERATING_PORT.*set OPA_OPERATING_PORT to"):
            listening_socket("127.0.0.1", port, prefix="OPERATING_")
    print_error(caught.value)
    assert capsys.readouterr().err.count("\n") == 1, "one line says it all"


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1"):
        listening_socket("192.0.2.1", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can refuse connections before the socket is closed")
def test_connections_that_wait_are_accepted_while_new_ones_are_refused() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as waiting:
            assert not refuses_connections(listener)
            with listener.dup() as of_another_process:
                refuse_connections(of_another_process)
            assert refuses_connections(listener)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=5)
            accepted, _ = listener.accept()
            with accepted:
                waiting.sendall(b"request")
                assert accepted.recv(7) == b"request"


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not there")
def test_a_listener_that_the_event_loop_has_given_up_is_brought_back() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        servers = []

        async def listen(listener: socket.socket) -> None:
            servers.append(await loop.create_server(asyncio.Protocol, sock=listener))

        sockets = [listening_socket("127.0.0.1", 0)]
        address = sockets[0].getsockname()
        listeners = Listeners(sockets, listen)
        os.close(sockets[0].detach())  # what uvloop does
        await listeners.revive()
        await listeners.revive()
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername() == address
        listeners.close()
        (server,) = servers
        server.close()
        await server.wait_closed()

    uvloop.run(main())

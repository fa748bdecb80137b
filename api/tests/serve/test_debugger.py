"""The debugger: a client attaches to what `opa start` runs."""

from __future__ import annotations

import re
import threading

from opa.serve.listen import listening_socket
from tests.docker.dap import DapClient
from tests.serve.process import Opa, free_port, wait_until

PLUGIN = """
from opa import get_router

router = get_router()


@router.get("/double")
def double(number: int):
    answer = 2 * number
    return answer  # {note}
"""
LINE = PLUGIN.split("\n").index("    return answer  # {note}") + 1


def start(opa: Opa, **environ: str) -> int:
    port = free_port()
    opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port), **environ)
    opa.wait_until_ready()
    return port


def attached(opa: Opa, port: int) -> DapClient:
    debugger = DapClient("127.0.0.1", port)
    debugger.attach(
        local_root=str(opa.plugins),
        remote_root=str(opa.plugins),
        breakpoints={str(opa.plugins / "double.py"): [LINE]},
    )
    return debugger


def assert_stops_and_shows_values(opa: Opa, debugger: DapClient) -> None:
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(opa.get("/double?number=21", timeout=30)))
    caller.start()
    variables = debugger.variables_where_stopped()
    assert (variables["number"], variables["answer"]) == ("21", "42")
    debugger.resume()
    caller.join()
    assert answers == [42]


def test_a_breakpoint_in_a_plugin_stops_a_request_and_shows_values(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = start(opa)
    with attached(opa, port) as debugger:
        assert_stops_and_shows_values(opa, debugger)
    assert opa.stop() == 0


def test_a_debugger_attaches_again_after_a_reload(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = start(opa, OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    # It stays attached: its connection keeps the former process's adapter, and with it the port.
    with attached(opa, port):
        opa.plugin("double.py", PLUGIN.format(note=2))
        wait_until(lambda: opa.log.count("a debugger can attach on") == 2, what=opa.log)
        opa.wait_until_ready()
        with attached(opa, port) as debugger:
            assert_stops_and_shows_values(opa, debugger)
    assert opa.stop() == 0


def test_a_request_that_stands_at_a_breakpoint_does_not_hold_up_a_reload(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = start(opa, OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    with attached(opa, port) as debugger:
        caller = threading.Thread(target=lambda: opa.answers("/double?number=1"))
        caller.start()
        debugger.variables_where_stopped()
        opa.plugin("double.py", PLUGIN.format(note=2))
        wait_until(lambda: opa.log.count("a debugger can attach on") == 2, what=opa.log)
        caller.join()
    wait_until(lambda: opa.answers("/double?number=2", 4))


def test_a_port_that_somebody_else_holds_is_said_and_the_api_serves(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    with listening_socket("127.0.0.1", 0) as other:
        port = other.getsockname()[1]
        opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port))
        opa.wait_until_ready()
    assert f"no debugger can attach: 127.0.0.1:{port} is taken by another process" in opa.log
    assert opa.get("/double?number=3") == 6


def test_several_workers_and_a_debugger_are_refused(opa: Opa) -> None:
    assert opa.run_to_end(OPA_DEBUGPY="true", WEB_CONCURRENCY="2") == 1
    assert re.match(r"error: a debugger attaches to one process, and 2 workers are asked for", opa.log)


def test_it_waits_for_a_debugger_where_it_is_told_to(opa: Opa) -> None:
    opa.plugin("double.py", PLUGIN.format(note=1))
    port = free_port()
    opa.start(OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port), OPA_DEBUGPY_WAIT="true")
    wait_until(lambda: "waiting for a debugger" in opa.log)
    assert "serving on" not in opa.log
    with attached(opa, port):
        opa.wait_until_ready()


def test_the_former_name_of_the_setting_works(opa: Opa) -> None:
    opa.start(OPA_PTVSD="true", OPA_DEBUGPY_PORT=str(free_port()))
    opa.wait_until_ready()
    assert "a debugger can attach on" in opa.log

"""`opa health`: whether what runs here is ready, and the reasons, which the api does not tell strangers."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa._util.printable import in_one_line, json_text
from opa.cli.program import app

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

TIMEOUT = 5.0
"""Seconds for the answer of the process, and for each component."""


@app.command()
def health(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Ask the running process whether it is ready, and check each component; exit status 1 if anything is wrong.

    It asks the process at the address in the settings, or the file that HEALTH_FILE names.
    It connects the components itself, as a process that starts now would.
    """
    from opa.bootstrap import prepare
    from opa.cli.beside_up import load_beside_up
    from opa.core.components import probe_components
    from opa.serve.mode import chosen_mode

    config = load_beside_up(quiet=True)
    mode = chosen_mode(os.environ)
    problem, answer = _ask(mode, config)
    manager = prepare(config)
    asyncio.run(probe_components(manager, TIMEOUT))
    found: dict[str, Any] = {
        "mode": mode,
        "ready": not problem,
        "reason": problem,
        "components": _components(manager, answer),
        "plugins": manager.roster.skipped_as_told(),
        "plugins_loaded": answer.get("plugins_loaded", manager.roster.count()),
    }
    if as_json:
        print(json_text(found))
    else:
        _show(found)
    if problem or any(component["status"] == "failed" for component in found["components"]):
        raise typer.Exit(1)


def _ask(mode: str, config: Config) -> tuple[str, dict[str, Any]]:
    """Why the process is not ready, which is empty where it is, and what it answers."""
    from opa import healthcheck
    from opa.process.health_target import operating_address

    target: dict[str, Any] = {}
    if "HEALTH_FILE" in os.environ:
        target = healthcheck.read_target()
    if mode != "api":
        if target.get("mode") != mode:
            return f"there is no sign of life of a {mode}: HEALTH_FILE names no file of one", {}
        return healthcheck.CHECKS[mode](target), {}
    host, port = operating_address(config)
    host, port = target.get("host") or host, target.get("port") or port
    if not config.READY_URL:
        return healthcheck.check_web({"host": host, "port": port, "path": config.HEALTH_URL}), {}
    return _ask_api(host, port, config.READY_URL)


def _ask_api(host: str, port: int, path: str) -> tuple[str, dict[str, Any]]:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    where = f"{host}:{port}{path}"
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        answer = json.loads(response.read(1_000_000))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"{where}: {error or type(error).__name__}", {}
    finally:
        connection.close()
    answer = answer if isinstance(answer, dict) else {}
    if response.status == 200:
        return "", answer
    said = answer.get("status", "and says nothing else")
    waits = f": it waits: {answer['waiting_for']}" if answer.get("waiting_for") else ""
    return f"{where} answers {response.status}, {said}{waits}", answer


def _components(manager: PluginManager, answer: dict[str, Any]) -> list[dict[str, str]]:
    """Each component as it is from here, and as the process says that it is."""
    there = {str(state.get("name")): str(state.get("status")) for state in answer.get("components", ())}
    return [
        {
            "name": state.name,
            "status": state.status,
            "reason": state.reason,
            "in_process": there.get(state.name, ""),
        }
        for state in manager.component_states.values()
    ]


def _show(found: dict[str, Any]) -> None:
    from opa._util.tables import print_table

    print(in_one_line(f"{found['mode']}: {'ready' if found['ready'] else found['reason']}"))
    print_table(
        ["component", "in the process", "from here", "reason"],
        [
            [each["name"], each["in_process"] or "-", each["status"], each["reason"] or "-"]
            for each in found["components"]
        ],
    )
    print(in_one_line(f"plugins loaded: {found['plugins_loaded']}"))
    for plugin in found["plugins"]:
        print(in_one_line(f"plugin '{plugin['name']}' is skipped: {plugin['reason']}"))

"""Health for an orchestrator: HEALTH_URL tells that the process lives, READY_URL that it takes requests.

The process lives as long as its event loop answers. It is ready once its components are connected and its
setups have run, and until it stops. A server that is gone for a while makes it neither dead nor unready:
clients connect again by themselves, routes that do not need the server go on, and those that do answer 503.
An orchestrator that took every replica out at once, or restarted them, would only make that worse.

They are answered before any middleware or route of a plugin, and are plain routes of Starlette, which need nothing that
stands around the others.

Anyone may ask, so the answer has states alone. The reasons name hosts and modules, and are for the operator: they are
in the log, `opa health` shows them, and the setting READY_DETAILS puts them into the answer.
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from opa import config, get_plugin_manager, get_router

router = get_router(include_in_schema=False)

# A proxy or an orchestrator must see the state of now.
NEVER_STORED = {"Cache-Control": "no-store"}


async def answer_health(_request: Request) -> JSONResponse:
    """Answer 200 while the event loop runs."""
    return JSONResponse({"status": "ok"}, headers=NEVER_STORED)


async def answer_readiness(_request: Request) -> JSONResponse:
    """Answer 200 once every component that is to be loaded is connected, otherwise 503.

    The answer lists the components and the plugins that were skipped, and counts those that are loaded, but for the
    built-in ones: none where another folder is mounted than was meant.
    """
    manager = get_plugin_manager()
    states = manager.component_states.values()
    is_ready = all(state.status in {"connected", "not loaded"} for state in states)
    components = [_shown(_state_now(state)) for state in states]
    skipped = [_shown(plugin) for plugin in manager.roster.skipped_as_told()]
    return JSONResponse(
        {
            "status": "ready" if is_ready else "not ready",
            "components": components,
            "plugins": skipped,
            "plugins_loaded": manager.roster.count(),
        },
        status_code=200 if is_ready else 503,
        headers=NEVER_STORED,
    )


def _state_now(state: Any) -> dict[str, str]:
    """What is known of a component; one that is connected may not answer, which its breaker knows."""
    if state.status == "connected":
        reasons = [breaker.reason for breaker in state.driver.breakers() if breaker.is_open]
        if reasons:
            return {"name": state.name, "status": "does not answer", "reason": "; ".join(reasons)}
    return {"name": state.name, "status": state.status, "reason": state.reason}


def _shown(state: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in state.items() if key != "reason" or (value and config.READY_DETAILS)}


if config.HEALTH_URL:
    router.add_route(config.HEALTH_URL, answer_health, methods=["GET", "HEAD"])
if config.READY_URL:
    router.add_route(config.READY_URL, answer_readiness, methods=["GET", "HEAD"])

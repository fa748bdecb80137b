"""The route of METRICS_URL: on a port for operators open to all who reach that, else for the scope `metrics:read`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from opa import Requires, config, get_plugin_manager, get_router, is_development
from opa.plugins.core_metrics.reading import BusyError
from opa.plugins.core_metrics.service import service

SCOPE = "metrics:read"
WITH_A_PORT = frozenset({"worker", "beat"})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", "[::1]"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")

router = get_router(include_in_schema=False)
_require = Requires(SCOPE).dependency


async def answer_metrics(request: Request) -> Response:
    """All metrics of the service, in the version of the text format that is asked for.

    Raises:
        HTTPException: it is asked on the port of the api, by someone who may not (401 or 403).
    """
    if not _is_open(request):
        await _require(request)
    try:
        body, content_type = await service().answer(request.headers.get("accept", ""))
    except (BusyError, OSError) as error:
        return Response(f"the metrics cannot be read: {error}\n", 503, media_type="text/plain")
    return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _is_open(request: Request) -> bool:
    """Whether nobody but operators can have asked: on a port for them, or on this machine in development."""
    if get_plugin_manager().mode in WITH_A_PORT or config.OPERATING_PORT is not None:
        return True
    if not is_development() or request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    # By a name of this machine, which a page of another site does not have, whatever its host resolves to.
    return request.client.host in LOOPBACK and (request.url.hostname or "") in LOOPBACK


if config.METRICS_URL:
    router.add_route(config.METRICS_URL, answer_metrics, methods=["GET", "HEAD"])

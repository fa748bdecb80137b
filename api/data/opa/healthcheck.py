"""The container's health check: exit status 0 when what runs here answers, otherwise 1 and the reason.

Run by its path with `python -I`. It imports neither the package nor an application, so it costs little and
does not fail where they do.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TIMEOUT = 4.0


def health_file() -> Path:
    """What `HEALTH_FILE` names; `{container}` in it is the number of this container.

    The containers of a pod may share the folder, and then each has to have a file of its own.

    Raises:
        KeyError: the variable is not set.
    """
    return Path(os.environ["HEALTH_FILE"].replace("{container}", _container()))


def _container() -> str:
    """What each container has to itself, whatever else it shares: its mounts."""
    try:
        return "".join(filter(str.isdecimal, os.readlink("/proc/self/ns/mnt")))  # noqa: PTH115
    except OSError:
        return socket.gethostname()


def read_target() -> dict[str, Any]:
    """What `opa start` has noted in `HEALTH_FILE`; where it could not, what the environment variables say."""
    try:
        target: dict[str, Any] = json.loads(health_file().read_text())
    except (KeyError, OSError):
        mode = (os.environ.get("MODE") or "api").strip().lower()
        if mode == "flower":
            port, path = _port("OPA_FLOWER_PORT", 5555), "/healthcheck"
        else:
            port = _port("OPA_OPERATING_PORT", _port("OPA_PORT", 8000))
            path = os.environ.get("OPA_HEALTH_URL", "/healthz")
        target = {"mode": mode, "host": "127.0.0.1", "port": port, "path": path}
    return target


def _port(variable: str, default: int) -> int:
    """The port in `variable`; the default where it has none, such as Kubernetes' `tcp://…` of a service."""
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isdecimal() else default


def check_web(target: dict[str, Any]) -> str:
    """Why a server is not healthy; nothing when it is. Without a health route a connection is enough."""
    if time.time() < target.get("starts_until", 0):  # it lives, and nobody is to wait for nothing until it serves
        return f"{target['mode']}: {target['reason']}"
    import http.client  # half of what a check takes, each second of a start, and a worker has no use for it

    host, port, path = target["host"], target["port"], target["path"]
    try:
        if not path:
            socket.create_connection((host, port), timeout=TIMEOUT).close()
            return ""
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        connection.request("GET", path, headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{host}:{port}{path or ''}: {error or type(error).__name__}"
    return "" if status == 200 else f"{host}:{port}{path} answers {status}"


def check_heartbeat(target: dict[str, Any]) -> str:
    """Why a process that cannot be asked is not healthy; nothing when its last sign of life is recent."""
    if time.time() < target.get("until", 0):
        return ""
    return f"{target['mode']}: {target.get('reason', 'no sign of life for too long')}"


CHECKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "api": check_web,
    "flower": check_web,
    "worker": check_heartbeat,
    "beat": check_heartbeat,
}


def main() -> int:
    """Check what runs here, and print why it is not healthy, or which plugins a healthy worker has skipped."""
    target = read_target()
    check = CHECKS.get(target["mode"])
    reason = check(target) if check else f"mode '{target['mode']}' has no health check"
    if reason:
        print(_in_one_line(reason))
    for plugin in target.get("plugins", ()):
        print(_in_one_line(f"plugin '{plugin['name']}' is skipped: {plugin['reason']}"))
    return 1 if reason else 0


def _in_one_line(text: str) -> str:
    """`text` with control characters as escapes, like `opa._util.printable`, which is not imported here."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


if __name__ == "__main__":
    sys.exit(main())

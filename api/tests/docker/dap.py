"""A debugger's side of the Debug Adapter Protocol, as small as a test needs it.

https://microsoft.github.io/debug-adapter-protocol/: JSON framed by a Content-Length header, over TCP.
"""

from __future__ import annotations

import json
import socket
import time
from types import TracebackType
from typing import Any


class DapClient:
    """Attaches to a debugpy that listens on `host:port`; every wait ends after `timeout` seconds."""

    def __init__(self, host: str, port: int, *, timeout: float = 20) -> None:
        self._socket = socket.create_connection((host, port), timeout=timeout)
        self._timeout = timeout
        self._buffer = b""
        self._sent = 0
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> DapClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def attach(self, *, local_root: str, remote_root: str, breakpoints: dict[str, list[int]]) -> None:
        """Attach, set breakpoints (remote file -> lines) and let the process go on."""
        self.request("initialize", adapterID="python", clientID="test", pathFormat="path")
        attach = self.send(
            "attach", justMyCode=False, pathMappings=[{"localRoot": local_root, "remoteRoot": remote_root}]
        )
        self.event("initialized")
        for path, lines in breakpoints.items():
            answer = self.request(
                "setBreakpoints", source={"path": path}, breakpoints=[{"line": line} for line in lines]
            )
            unverified = [point for point in answer["breakpoints"] if not point["verified"]]
            assert not unverified, unverified
        self.request("configurationDone")
        self.response(attach)

    def variables_where_stopped(self) -> dict[str, str]:
        """Wait for a breakpoint to be hit; the local variables of its innermost frame, as text."""
        stopped = self.event("stopped")
        assert stopped["reason"] == "breakpoint", stopped
        frames = self.request("stackTrace", threadId=stopped["threadId"])["stackFrames"]
        scopes = self.request("scopes", frameId=frames[0]["id"])["scopes"]
        reference = next(scope["variablesReference"] for scope in scopes if scope["name"] == "Locals")
        variables = self.request("variables", variablesReference=reference)["variables"]
        self._stopped_thread = stopped["threadId"]
        return {variable["name"]: variable["value"] for variable in variables}

    def resume(self) -> None:
        self.request("continue", threadId=self._stopped_thread)

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self.response(self.send(command, **arguments))

    def send(self, command: str, **arguments: Any) -> int:
        self._sent += 1
        message = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        return self._sent

    def response(self, number: int) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        while True:
            message = self._receive(deadline)
            if message["type"] == "response" and message["request_seq"] == number:
                assert message["success"], message
                return message.get("body") or {}
            self._keep_event(message)

    def event(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        while True:
            for index, event in enumerate(self._events):
                if event["event"] == name:
                    return self._events.pop(index).get("body") or {}
            self._keep_event(self._receive(deadline))

    def _keep_event(self, message: dict[str, Any]) -> None:
        if message["type"] == "event":
            self._events.append(message)

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\r\n\r\n" not in self._buffer:
            self._read(deadline)
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
        )
        while len(self._buffer) < length:
            self._read(deadline)
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        message: dict[str, Any] = json.loads(body)
        return message

    def _read(self, deadline: float) -> None:
        self._socket.settimeout(max(0.01, deadline - time.monotonic()))
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the debugger's side closed the connection")
        self._buffer += chunk

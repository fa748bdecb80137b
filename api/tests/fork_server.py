"""A process that has imported the libraries, and forks for each program that a test starts: see `tests.programs`.

It imports nothing of `opa`: what `opa` does at its import depends on the environment and the folder, and happens in the
fork, as in a process of its own. A second one, for the command `opa` alone, has imported what each of its processes
imports; what depends on the environment there, the log, is set up again in the fork.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import resource
import runpy
import selectors
import socket
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

# Not gunicorn: at its import it looks in which folder it stands.
LIBRARIES = (
    "asyncio",
    "billiard.heap",
    "billiard.popen_fork",
    "billiard.synchronize",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.app.trace",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.bin.beat",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.schedules",
    "celery.utils.static",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.request",
    "celery.worker.strategy",
    "celery.worker.worker",
    "concurrent.futures.thread",
    "dynaconf",
    "fastapi",
    "fastapi.openapi.utils",
    "fastapi_offline",
    "httptools",
    "kombu.matcher",
    "kombu.transport.pyamqp",
    "kombu.transport.redis",
    "loguru",
    "motor.motor_asyncio",
    "multipart",
    "packaging.requirements",
    "pydantic",
    "pydantic.v1",
    "pymongo",
    "redis.asyncio",
    "rich.console",
    "rich.table",
    "starlette.middleware.cors",
    "tomllib",
    "typer",
    "uvicorn",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
    "walrus",
    "watchfiles",
    "websockets",
)


OF_THE_COMMAND = (
    "opa.bootstrap",
    "opa.checks",
    "opa.cli.commands",
    "opa.cli.start",
    "opa.http.builder",
    "opa.serve.mode",
)


def import_libraries() -> dict[str, list[str]]:
    """Import them, and tell which variables of the environment they have read, and which modules are there now."""
    read: set[str] = set()
    kind: Any = type(os.environ)
    get = kind.__getitem__

    def note(environ: Any, name: str) -> Any:
        read.add(name)
        return get(environ, name)

    kind.__getitem__ = note
    for library in LIBRARIES:
        importlib.import_module(library)
    kind.__getitem__ = get
    assert threading.active_count() == 1, "a process with threads does not fork"
    return {"variables": sorted(read), "modules": sorted({name.partition(".")[0] for name in sys.modules})}


def work_out_once() -> None:
    """Do what `tests.once` does, and leave no trace of the module."""
    spec = importlib.util.spec_from_file_location("once", Path(__file__).with_name("once.py"))
    assert spec is not None
    assert spec.loader is not None
    once = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(once)
    once.parse_defaults_once()
    once.look_for_python_once()
    once.read_signatures_once()


def import_command() -> None:
    """Import what a process of the command `opa` does before it knows what it is to do."""
    for module in OF_THE_COMMAND:
        importlib.import_module(module)
    # Reads their signatures, once for all.
    sys.modules["typer.main"].get_command(sys.modules["opa.cli.program"].app)
    assert threading.active_count() == 1, "a process with threads does not fork"


def begin_log() -> None:
    """Do what the import of the logger does with the environment."""
    sys.modules["opa.logging.stderr"].set_sink_by_environment()


def end(status: object) -> None:
    """End the process as the interpreter does, without taking down all that there is: a fifth of its time."""
    code = 0 if status is None else status
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        sys.exit(code)  # which tells of it
    os._exit(code & 0xFF)


def serve(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each request, and tell its sender the process id and, in the end, the exit status.

    Returns in the forks, with the request and the standard input, output and error.
    """
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is not control:
                pid, reply = running.pop(key.fd)
                selector.unregister(key.fd)
                os.close(key.fd)
                tell(reply, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                reply.close()
                continue
            message, descriptors, *_ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                sys.exit()
            request = json.loads(message)
            reply = socket.socket(fileno=descriptors[0])
            pid = os.fork()
            if not pid:
                selector.close()
                for descriptor, (_, other) in running.items():
                    os.close(descriptor)
                    other.close()
                control.close()
                reply.close()
                return request, descriptors[1:]
            for descriptor in descriptors[1:]:
                os.close(descriptor)
            # Before its id is known: who knows it may set another limit.
            resource.prlimit(pid, resource.RLIMIT_NOFILE, tuple(request["files"]))
            tell(reply, pid)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = pid, reply
            selector.register(descriptor, selectors.EVENT_READ)


def tell(reply: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # who asked is gone
        reply.send(str(number).encode())


def become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Make this process what a fresh one is in this folder, with this environment and these streams."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    if request["session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    sys.path.insert(0, request["path"])
    sys.modules["__main__"] = types.ModuleType("__main__")


def run(kind: str, arguments: list[str]) -> None:
    """Run a program as the interpreter does: `-m module`, `-c code`, or a script."""
    sys.argv = arguments[:]
    match kind:
        case "-m":
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
        case "-c":
            sys.argv[0] = "-c"
            exec(compile(arguments[0], "<string>", "exec"), vars(sys.modules["__main__"]))
        case _:
            runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    del sys.path[0]
    channel, of_command = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    told = import_libraries()
    work_out_once()
    channel.send(json.dumps(told).encode())
    second = os.fork()
    if second:
        of_command.close()
    else:
        channel.close()
        channel = of_command
        import_command()
    gc.collect()
    gc.freeze()
    try:
        request, descriptors = serve(channel)
    except KeyboardInterrupt:  # the tests are interrupted
        sys.exit(1)
    become(request, descriptors)
    if not second:
        begin_log()
    try:
        run(request["kind"], request["arguments"])
    except SystemExit as ended:
        end(ended.code)
    end(0)

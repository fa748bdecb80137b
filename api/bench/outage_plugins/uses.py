"""The plugin: a route for each component, one that uses none, and a driver of its own."""

import socket

from opa import Driver, get_instance, get_router

router = get_router()


class Line(Driver):
    """Asks a redis for an answer over a connection that it makes for each call: what a user writes without a pool."""

    name = "line"
    connection_errors = (OSError,)

    def connect(self) -> None:
        """Nothing to keep."""
        self.instance = self

    def validate(self) -> None:
        """See that it answers."""
        self.ask()

    def ask(self) -> bytes:
        """One question."""
        with socket.create_connection((self.opts.HOST, int(self.opts.PORT)), timeout=3) as line:
            line.sendall(b"PING\r\n")
            return line.recv(100)


@router.get("/hello")
def hello() -> str:
    """Uses no component, in a thread."""
    return "hello"


@router.get("/aioredis")
async def by_aioredis() -> int:
    """Asynchronous."""
    return int(await get_instance("aioredis").incr("n"))


@router.get("/walrus")
def by_walrus() -> int:
    """In a thread."""
    return int(get_instance("walrus").incr("n"))


@router.get("/mongodb")
async def by_mongodb() -> int:
    """By motor."""
    return int(await get_instance("mongodb").get_default_database().notes.count_documents({}))


@router.get("/pymongo")
def by_pymongo() -> int:
    """In a thread."""
    return int(get_instance("pymongo").get_default_database().notes.count_documents({}))


@router.get("/celery")
def by_celery() -> str:
    """Sends a task."""
    return str(get_instance("celery").send_task("nobody.runs", args=[1]).id)


@router.get("/results")
def by_results() -> str:
    """Reads a result."""
    return str(get_instance("celery").AsyncResult("nobody").state)


@router.get("/line")
def by_line() -> str:
    """By the driver above."""
    return str(get_instance("line").ask())

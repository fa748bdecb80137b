"""Migrations at the start of three containers, of which one is killed: `python -m tests.plugins.migrations`.

It builds the image with the packages for SQL, starts the servers of `docker-compose.yml`, with PostgreSQL, and then an
api, a worker and a beat at once. Whichever of them runs the tenth migration, of PostgreSQL, is killed in its middle; in
a second round, from the beginning, whichever runs the eleventh, of MongoDB.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pymongo import MongoClient
from pymongo.database import Database

from tests.docker.engine import Container, Stack, built_image, docker, errors_of, running, write_plugin
from tests.serve.process import free_port, wait_until

NUMBERS = range(1, 21)
NAMES = ("api", "worker", "beat")
ONCE = """
services:
  # None before the servers are there. One that was killed stays away until it is started.
  api: &once {{scale: 0, restart: "no", environment: {{OPA_MIGRATE_ON_START: "true"}}}}
  worker: *once
  beat: *once
  mongo: {{ports: ["127.0.0.1:{port}:27017"]}}
"""
SQL = """
from alembic import op
from sqlalchemy import text

from opa import log


def upgrade() -> None:
    op.execute("CREATE TABLE t{number} (id INTEGER)")
    op.execute("INSERT INTO ran VALUES ({number}, 'begun')")
    if {is_held}:
        log.info("in the middle")
        while not op.get_bind().scalar(text("SELECT count(*) FROM released")):
            op.execute("SELECT pg_sleep(5)")
    op.execute("INSERT INTO ran VALUES ({number}, 'ended')")
"""
MONGO = """
import asyncio

from opa import log

component = "mongodb"


async def upgrade(client) -> None:
    database = client.get_default_database()
    await database.ran.insert_one({{"number": {number}, "half": "begun"}})
    if {is_held}:
        log.info("in the middle")
        while not await database.released.find_one():
            await asyncio.sleep(0.2)
    await database.ran.insert_one({{"number": {number}, "half": "ended"}})
"""


def halves(count: int) -> Counter[str]:
    """What there is when the first `count` migrations have run, each once."""
    return Counter(f"{number}|{half}" for number in NUMBERS[:count] for half in ("begun", "ended"))


class Containers:
    """The three, of a stack.

    Args:
        stack: it runs.
        mongo: its database.
    """

    def __init__(self, stack: Stack, mongo: Database[dict[str, object]]) -> None:
        self.stack = stack
        self.mongo = mongo
        self.all = {name: Container(stack.container(name), stack.plugins) for name in NAMES}

    def psql(self, statement: str) -> list[str]:
        return docker("exec", self.stack.container("postgres"), "psql", "-U", "opa", "-Atc", statement).split()

    def see(self, expected: Counter[str]) -> None:
        """See that the halves of each migration have run so often, for anybody else."""
        documents = [f"{each['number']}|{each['half']}" for each in self.mongo.ran.find()]
        found = Counter([*self.psql("SELECT number, half FROM ran"), *documents])
        assert found == expected, (found - expected, expected - found)

    def in_the_middle(self, names: set[str]) -> str:
        """Which of them has come to the middle of the migration that waits there; empty while none has."""
        return next((name for name in names if "in the middle" in self.all[name].log), "")

    def waiting(self) -> list[str]:
        """What their health checks say; nothing while not all of them wait for migrations."""
        check = ("python", "-I", "/data/opa/healthcheck.py")
        said = [docker("exec", each.name, *check, check=False).strip() for each in self.all.values()]
        return said if all("it waits: migrations are running" in each for each in said) else []

    def kill(self) -> tuple[str, set[str]]:
        """Kill the one that is in the middle; it, and the others, which wait for it."""
        killed = wait_until(lambda: self.in_the_middle(set(NAMES)))
        said = wait_until(self.waiting)
        assert sum("in another process since" in each for each in said) == len(NAMES) - 1, said
        answer = self.stack.get("/readyz")
        assert (answer.status, answer.body["status"]) == (503, "starting"), answer
        print(*said, f"/readyz: 503 {answer.body}", sep="\n")
        docker("kill", "--signal", "KILL", self.all[killed].name)
        assert self.all[killed].exit_code == 137
        print(f"{killed} was killed in the middle", flush=True)
        return killed, set(NAMES) - {killed}

    def start(self, *names: str) -> None:
        """Start some again, and see that all are ready."""
        for name in names:
            docker("start", self.all[name].name)
        for each in self.all.values():
            each.wait_until_healthy()
        assert self.stack.get("/readyz").status == 200


@contextmanager
def started(folder: Path, image: str, held: int) -> Iterator[Containers]:
    """Three that were started at once, with migrations of which one waits in its middle."""
    folder.mkdir()
    environ = {"WEB_CONCURRENCY": "1", "CELERY_PARAMS": "-c 1", "COMPOSE_PROFILES": "sql"}
    stack = Stack(folder, image, environ=environ)
    port = free_port()
    stack.override("once.yml", ONCE.format(port=port))
    write_plugin(stack.plugins / "shop", "__init__.py", "")
    for number in NUMBERS:
        text = (MONGO if number % 2 else SQL).format(number=number, is_held=number == held)
        write_plugin(stack.plugins / "shop/migrations", f"{number:04}_t.py", text)
    url = f"mongodb://mongo:mongo@127.0.0.1:{port}/opa"
    with running(stack), MongoClient[dict[str, object]](url) as client:
        containers = Containers(stack, client.get_default_database())
        containers.psql("CREATE TABLE ran (number INTEGER, half TEXT); CREATE TABLE released (yes BOOLEAN)")
        stack.compose("up", "--detach", *(f"--scale={name}=1" for name in NAMES))
        yield containers


def kill_in_postgresql(containers: Containers) -> None:
    """It leaves nothing, and the others go on by themselves."""
    killed, others = containers.kill()
    begin = time.monotonic()
    other = wait_until(lambda: containers.in_the_middle(others))
    print(f"{other} began it anew {time.monotonic() - begin:.1f} s later")
    containers.see(halves(9))
    assert containers.psql("SELECT to_regclass('t10')") == []
    containers.psql("INSERT INTO released VALUES (true)")
    for name in others:
        containers.all[name].wait_until_healthy()
    containers.start(killed)
    containers.see(halves(20))
    assert containers.psql("SELECT count(*) FROM pg_tables WHERE tablename ~ '^t[0-9]+$'") == ["10"]
    print("PostgreSQL: each has run once, and the one that was killed is ready", flush=True)


def kill_in_mongodb(containers: Containers) -> None:
    """It may have done a part: the others end and say so, and `opa migrate` goes on."""
    _, others = containers.kill()
    containers.mongo.released.insert_one({})
    for name in others:
        assert containers.all[name].wait_for_end(120) == 1
        [error] = errors_of(containers.all[name].log)
        assert "the migration shop/0011_t was interrupted, and may have done a part" in error
        print(f"{name} ended: {error}")
    containers.see(halves(10) + Counter(["11|begun"]))
    output = containers.stack.compose("run", "--rm", "--no-TTY", "api", "migrate")
    assert output.count(": done, ") == 10, output
    containers.start(*NAMES)
    containers.see(halves(20) + Counter(["11|begun"]))
    print("MongoDB: opa migrate has run the eleventh again, and the nine behind it once; all are ready", flush=True)


def main() -> None:
    """Both rounds."""
    with built_image("sql") as image, TemporaryDirectory() as name:
        with started(Path(name) / "migrations-sql", image, held=10) as containers:
            kill_in_postgresql(containers)
        with started(Path(name) / "migrations-mongo", image, held=11) as containers:
            kill_in_mongodb(containers)


if __name__ == "__main__":
    main()

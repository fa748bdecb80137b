"""Migrations of redis and MongoDB, which have no transactions, and of a component with a driver of a user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import pytest

from opa.plugins.migrations import leased
from tests.plugins.migrations.shop import done, migrate, refused, running
from tests.project import Project
from tests.serve.process import wait_until

DRIVERS = ("redis-aioredis", "redis-walrus", "mongodb-async-pymongo", "mongodb-async-motor", "mongodb-pymongo", "kept")
OPA = [sys.executable, "-m", "opa", "migrate"]

NOTE = """
from pathlib import Path

component = "thing"

{kind}def upgrade(instance):
    assert hasattr(instance, "{has}")
    with Path("ran").open("a") as file:
        file.write("{number}\\n")

{kind}def downgrade(instance):
    Path("back").write_text("{number}")
"""

KEPT = """
import json
from pathlib import Path
from opa import Driver

class Kept(Driver):
    name = "kept"
    def connect(self):
        self.instance = self
    def migration_store(self):
        return Store()

class Store:
    file = Path("kept.json")
    def records(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}
    def write(self, name, record):
        records = {key: value for key, value in self.records().items() if key != name}
        self.file.write_text(json.dumps(records if record is None else {**records, name: record}))
    async def lock(self, owner, seconds):
        return True
    async def unlock(self, owner):
        pass
"""


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def thing(project: Project, driver: str, redis_url: str, mongo_url: str) -> Project:
    """A project with the component `thing` of such a driver, and nothing in it."""
    url = f"{mongo_url}/test_{uuid4().hex}" if driver.startswith("mongo") else redis_url
    if driver == "kept":
        project.plugin("kept.py", KEPT)
    project.component("THING", driver, URL=url)
    project.settings(PROJECT_ID=uuid4().hex)
    project.plugin("shop/__init__.py")
    return project


def use(project: Project, number: int, driver: str, text: str = NOTE) -> Path:
    has = {"kept": "opts"}.get(driver, "hgetall" if driver.startswith("redis") else "list_database_names")
    kind = "async " if "async" in driver or "aio" in driver else ""
    written = text.replace("{kind}", kind).replace("{has}", has).replace("{number}", str(number))
    return project.plugin(f"shop/migrations/000{number}_n.py", written)


def ran() -> list[str]:
    return Path("ran").read_text().split() if Path("ran").exists() else []


def test_they_run_once_fail_plainly_and_are_taken_back(thing: Project, driver: str) -> None:
    for number in (1, 2, 3):
        use(thing, number, driver)
    use(thing, 2, driver, NOTE.replace("assert", "raise ValueError('a:hunter2@b')\n    assert"))
    message = refused()
    assert message.startswith("the migration shop/0002_n could not run: ValueError: ")
    assert "0002_n.py:7" in message
    assert "What it has done until then is there, and none behind it was run" in message
    assert ran() == ["1"]
    status = migrate("status")
    assert status.exit_code == 1
    assert "failed" in status.stdout
    use(thing, 2, driver)
    assert done() == ["shop/0002_n (thing): done", "shop/0003_n (thing): done"]
    assert ran() == ["1", "2", "3"]
    use(thing, 3, driver, NOTE.replace("    Path", "    raise SystemExit(0)\n    Path"))
    assert "run opa migrate downgrade again" in str(migrate("downgrade", "shop", "2").exception.__dict__)
    assert "taken back, but not to its end" in migrate("status").stdout
    assert migrate("status").exit_code == 1
    use(thing, 3, driver)
    assert done("downgrade", "shop", "2") == ["shop/0003_n (thing): taken back"]
    assert Path("back").read_text() == "3"
    assert done("--mark") == ["shop/0003_n (thing): noted as done"]
    assert done() == ["nothing to do"]
    assert ran() == ["1", "2", "3"]


SLOW = NOTE.replace("    with", "    import time\n    while Path('hold').exists(): {sleep}\n    with").replace(
    "upgrade(instance):", "upgrade(instance):\n    Path('begun').write_text('')"
)


@pytest.mark.parametrize("driver", ["mongodb-pymongo"], indirect=True)
def test_one_that_is_killed_is_told_and_another_process_goes_on(
    thing: Project, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        use(thing, number, driver, SLOW.replace("{sleep}", "time.sleep(0.02)"))
    Path("hold").write_text("")
    # Its lock ends soon, and nobody renews it.
    code = "from opa.plugins.migrations import leased; leased.LEASE = 2; from opa.cli import main; main()"
    program = [sys.executable, "-c", code, "migrate"]
    with running(program):
        wait_until(Path("begun").exists, seconds=60, what="the migration has begun")
        assert "runs, or was interrupted" in migrate("status").stdout
    Path("hold").unlink()
    monkeypatch.setattr(leased, "LEASE", 2.0)
    result = migrate()
    assert result.exit_code == 0, result.output
    assert ran() == ["1", "2"]
    assert "waiting for another process" in result.stderr


@pytest.mark.parametrize("driver", ["redis-aioredis"], indirect=True)
def test_a_process_that_loses_its_lock_stops_and_records_nothing(
    thing: Project, driver: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(thing, 1, driver)
    thing.plugin(
        "shop/migrations/0001_n.py",
        """
        import asyncio

        component = "thing"

        async def upgrade(client):
            [lock] = [key for key in await client.keys("opa:*:migrations:lock")]
            await client.set(lock, "another")
            await asyncio.sleep(60)
        """,
    )
    monkeypatch.setattr(leased, "RENEWAL", 0.1)
    assert "the lock of the migrations of the component 'thing' was lost while one ran" in refused()
    assert "runs, or was interrupted" in migrate("status").stdout


@pytest.mark.parametrize("driver", ["mongodb-pymongo"], indirect=True)
def test_of_two_processes_each_one_is_run_by_one(thing: Project, driver: str) -> None:
    for number in range(1, 6):
        use(thing, number, driver)
    with running(OPA, 2) as processes:
        outputs = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], outputs
    assert ran() == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("driver", ["kept"], indirect=True)
def test_a_driver_that_keeps_no_records_is_told(thing: Project, driver: str) -> None:
    thing.plugin("kept.py", KEPT.replace("migration_store", "other"))
    use(thing, 1, driver)
    assert "the driver 'kept' of the component 'thing' does not say where migrations are recorded" in refused()


SESSIONS = "from sqlalchemy.orm import sessionmaker; self.instance = sessionmaker()"


@pytest.mark.parametrize("driver", ["kept"], indirect=True)
def test_a_driver_of_ones_own_for_sql_keeps_its_records_itself(thing: Project, driver: str) -> None:
    thing.plugin("kept.py", KEPT.replace("self.instance = self", SESSIONS))
    use(thing, 1, driver, NOTE.replace("{has}", "kw"))
    assert done() == ["shop/0001_n (thing): done"]
    assert ran() == ["1"]
    assert "shop/0001_n" in Path("kept.json").read_text()
    thing.plugin("kept.py", KEPT.replace("self.instance = self", SESSIONS).replace("migration_store", "other"))
    assert "does not say where migrations are recorded" in refused()

from __future__ import annotations

from tests.servers import mongo_server
from tests.testing.suite import Suite

PLUGIN = """
    from typing import Annotated, Any

    from opa import Component, Driver, get_instance, get_router

    router = get_router()


    class WeatherDriver(Driver):
        name = "weather"
        connection_errors = (ConnectionError,)

        def connect(self):
            raise ConnectionError("far away")


    class LocalDriver(Driver):
        name = "local"

        def connect(self):
            self.instance = self.opts["GREETING"]


    @router.get("/weather")
    async def weather() -> str:
        return get_instance("weather").today()


    @router.get("/local")
    async def local(local: Annotated[Any, Component("local")]) -> str:
        return local


    @router.post("/notes")
    async def note(mongo: Annotated[Any, Component("mongodb")]) -> int:
        notes = mongo.get_default_database().notes
        await notes.insert_one({"text": "hello"})
        return await notes.count_documents({})


    @router.get("/walrus")
    def walrus(walrus: Annotated[Any, Component("walrus")]) -> int:
        return walrus.incr("n")


    @router.get("/kept")
    async def kept(redis: Annotated[Any, Component("aioredis")]) -> list[Any]:
        await redis.set("key", "text")
        options = redis.connection_pool.connection_kwargs
        return [await redis.get("key"), options["db"], options.get("password")]
"""
SETTINGS = """
default:
  OPTIONAL_COMPONENTS:
    dynaconf_merge: true
    WEATHER: {LOAD: "yes", DRIVER: weather}
    LOCAL: {LOAD: auto, DRIVER: local, OPTS: {GREETING: hi}}
    AIOREDIS:
      dynaconf_merge: true
      OPTS: {URL: "redis://:secret@redis.invalid/3", DECODE_RESPONSES: true, dynaconf_merge: true}
    MONGODB:
      dynaconf_merge: true
      OPTS: {URL: "mongodb://me:secret@mongo.invalid/shop", dynaconf_merge: true}
"""
TESTS = """
    import pytest


    class Sunny:
        def today(self):
            return "sun"


    class Gone:
        def today(self):
            raise ConnectionError("no route")


    @pytest.fixture
    def sunny(opa_component):
        return opa_component("WEATHER", Sunny())


    def test_one_is_replaced_before_the_start(sunny, opa_client):
        assert opa_client.get("/weather").json() == "sun"


    def test_one_is_replaced_while_it_runs(opa_client, opa_component):
        assert opa_client.get("/weather").status_code == 503
        opa_component("weather", Sunny())
        assert opa_client.get("/weather").json() == "sun"
        opa_component("weather", Gone())
        assert opa_client.get("/weather").status_code == 503


    def test_one_of_a_plugin_is_off(opa_client):
        answer = opa_client.get("/local")
        assert answer.status_code == 503


    @pytest.mark.opa(components=["LOCAL"])
    def test_one_that_is_named_is_connected(opa_client):
        assert opa_client.get("/local").json() == "hi"


    def test_a_built_in_one_may_be_replaced(opa_component, opa_client):
        class Redis:
            async def incr(self, name):
                return 77

        opa_component("aioredis", Redis())
        assert opa_client.post("/orders").json() == 77


    def test_options_stay_and_addresses_do_not(opa_client):
        assert opa_client.get("/kept").json() == ["text", 3, None]


    def test_a_server_may_be_ended(opa_app):
        opa_app.component("walrus").shutdown(nosave=True)


    @pytest.mark.parametrize("number", range(2))
    def test_servers_are_empty(opa_client, number):
        assert opa_client.get("/walrus").json() == 1
        assert opa_client.post("/orders").json() == 1
"""
OF_MONGO = """
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_mongo_is_empty(opa_client, number):
        assert opa_client.post("/notes").json() == 1
        assert opa_client.post("/notes").json() == 2
"""


OF_SQL = """
    from typing import Annotated

    from sqlalchemy import func, select
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    from opa import Component, get_router, get_util, task

    router = get_router()


    class Base(DeclarativeBase):
        pass


    class Letter(Base):
        __tablename__ = "letters"
        id: Mapped[int] = mapped_column(primary_key=True)


    async def ready():
        await get_util("sql").create_all(Base.metadata)


    @router.post("/letters")
    async def write(sql: Annotated[AsyncSession, Component("sql")]):
        sql.add(Letter())


    @router.get("/letters")
    def count(sql: Annotated[Session, Component("sql_sync")]) -> int:
        return sql.scalar(select(func.count(Letter.id)))


    @task
    async def write_later(sql: AsyncSession = Component("sql")):
        sql.add(Letter())
"""
SQL_TESTS = """
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_it_is_empty_and_of_both_components(opa_client, opa_app, opa_tasks, number):
        assert opa_client.get("/letters").json() == 0
        opa_client.post("/letters")
        opa_app.plugin("letters").write_later.delay()
        opa_tasks.run()
        assert opa_client.get("/letters").json() == 2


    def test_it_may_be_replaced(opa_component, opa_client):
        class Session:
            def scalar(self, statement):
                return 77

        opa_component("sql_sync", Session())
        assert opa_client.get("/letters").json() == 77
"""


def test_components_are_servers_of_the_session_or_replaced_or_off(suite: Suite) -> None:
    suite.write("plugins/parts.py", PLUGIN)
    suite.write("settings/10-parts.yaml", SETTINGS)
    suite.write("tests/test_parts.py", TESTS)
    mongo_server(suite.folder / "mongo")  # skips where there is none
    suite.write("tests/test_mongo.py", OF_MONGO)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 11
    assert set(outcomes.values()) == {"PASSED"}


def test_sql_is_a_file_that_is_empty_for_each_test(suite: Suite) -> None:
    suite.write("plugins/letters.py", OF_SQL)
    suite.write("tests/test_letters.py", SQL_TESTS)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 3
    assert set(outcomes.values()) == {"PASSED"}

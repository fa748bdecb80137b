from __future__ import annotations

from tests.testing.suite import Suite

TESTS = """
    import asyncio

    import pytest

    import opa


    @pytest.fixture
    def anyio_backend():
        return "asyncio"


    @pytest.fixture
    async def ordered(opa_async_client):
        return (await opa_async_client.post("/orders")).json()


    @pytest.mark.anyio
    async def test_components_are_on_the_loop_of_the_test(opa_async_client):
        assert (await opa_async_client.post("/orders")).json() == 1
        assert await opa.get_instance("aioredis").get("orders") == b"1"


    @pytest.mark.anyio
    async def test_a_fixture_may_ask_first(ordered, opa_async_client):
        assert ordered == 1
        assert (await opa_async_client.post("/orders")).json() == 2


    @pytest.mark.anyio
    async def test_users_are_signed_in(opa_async_client):
        assert (await opa_async_client.as_("ada", scopes=["shop:read"]).get("/who")).json()["id"] == "ada"


    @pytest.mark.anyio
    async def test_tasks(opa_async_client, opa_tasks):
        await opa_async_client.post("/restock/tea")
        with pytest.raises(opa.OpaError, match="await opa_tasks.run_async"):
            opa_tasks.run()
        assert [sent.result for sent in await opa_tasks.run_async()] == ["2 of tea"]


    @pytest.mark.anyio
    async def test_run_would_wait_for_itself(opa_app):
        with pytest.raises(opa.OpaError, match="Call the function, and await it"):
            opa_app.run(asyncio.sleep, 0)


    class TestInAClass:
        @pytest.mark.anyio
        async def test_method(self, opa_async_client):
            assert (await opa_async_client.get("/limit")).json() == 10


    def test_without_a_plugin_for_asynchronous_tests(opa_async_client):
        async def ask():
            return (await opa_async_client.get("/limit")).json()

        assert asyncio.run(ask()) == 10
"""


def test_asynchronous_tests_run_on_the_loop_of_the_application(suite: Suite) -> None:
    suite.write("tests/test_async.py", TESTS)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 7
    assert set(outcomes.values()) == {"PASSED"}

from __future__ import annotations

from tests.testing.suite import Suite

PLUGIN = """
    from datetime import date

    from opa import emit, get_instance, get_router, on, task

    router = get_router()
    tries = []
    heard = []


    @router.post("/try")
    async def send() -> str:
        result = await attempt.send(3)
        return await result.state()


    @task(bind=True, max_retries=3)
    def attempt(self, wins_at: int) -> int:
        tries.append(self.request.retries)
        if len(tries) < wins_at:
            raise self.retry(countdown=600)
        return len(tries)


    @task(autoretry_for=(ValueError,), max_retries=2, retry_backoff=False)
    def again() -> str:
        return "went well"


    @task
    async def count(by: int) -> int:
        return await get_instance("aioredis").incrby("count", by)


    @task
    def day(when: date) -> str:
        return when.isoformat()


    @task(unique="one")
    def alone() -> None: ...


    @task
    def forever() -> None:
        forever.delay()


    @task
    def double(number: int) -> int:
        return 2 * number


    @router.post("/emit")
    async def say() -> str:
        return (await emit("orders.created", 7)).id


    @on("orders.*")
    async def hear(number: int) -> None:
        heard.append(number)
"""
TRANSACTIONS = """
    from typing import Annotated

    from fastapi import HTTPException
    from sqlalchemy.ext.asyncio import AsyncSession

    from opa import Component, emit, get_router

    router = get_router()


    @router.post("/keep/{status}")
    async def keep(status: int, sql: Annotated[AsyncSession, Component("sql")]) -> None:
        await emit("orders.kept", status, session=sql)
        if status != 200:
            raise HTTPException(status)
"""
SETTINGS = """
    default:
      WEBHOOKS_OUT:
        real: {ON: "*", URL: "https://crm.example.org", SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
"""
TESTS = """
    import asyncio
    from datetime import date

    import pytest
    from celery import chain
    from kombu.exceptions import OperationalError

    import opa


    @pytest.fixture
    def anyio_backend():
        return "asyncio"


    def test_a_retry_is_sent_and_runs(opa_app, opa_client, opa_tasks):
        assert opa_client.post("/try").json() == "PENDING"
        ran = opa_tasks.run()
        assert [sent.state for sent in ran] == ["RETRY", "RETRY", "SUCCESS"]
        assert [sent.id for sent in ran] == [ran[0].id] * 3
        assert ran[1].eta is not None
        assert opa_app.plugin("work").tries == [0, 1, 2]


    def test_what_fails_is_tried_again_as_the_task_says(opa_app, opa_tasks):
        opa_tasks.fail("work.again", ValueError("no"))
        opa_app.plugin("work").again.delay()
        ran = opa_tasks.run(raises=False)
        assert [sent.state for sent in ran] == ["RETRY", "RETRY", "FAILURE"]


    def test_what_failed_is_raised(opa_app, opa_tasks):
        work = opa_app.plugin("work")
        opa_tasks.fail(work.double, ValueError("no"))
        result = work.double.delay(2)
        with pytest.raises(ValueError, match="no"):
            opa_tasks.run()
        assert isinstance(result.result, ValueError)


    def test_asynchronous_tasks_have_components(opa_app, opa_tasks):
        opa_app.plugin("work").count.delay(5)
        opa_app.plugin("work").count.delay(by=2)
        assert [sent.result for sent in opa_tasks.run("work.count")] == [5, 7]


    def test_arguments_arrive_as_they_do_in_a_worker(opa_app, opa_tasks):
        opa_app.plugin("work").day.delay(date(2031, 3, 3))
        sent = opa_tasks.assert_sent("work.day", when=date(2031, 3, 3))
        assert sent.args == (date(2031, 3, 3),)
        opa_tasks.run()
        assert sent.result == "2031-03-03"
        with pytest.raises(opa.OpaError, match="is not JSON"):
            opa_app.plugin("work").day.delay(object())


    def test_events_reach_their_handlers(opa_app, opa_client, opa_tasks):
        opa_client.post("/emit")
        opa_tasks.assert_sent("opa.events.fan_out")
        opa_tasks.run()
        assert opa_app.plugin("work").heard == [7]


    def test_events_of_a_transaction_are_sent_when_it_is_committed(opa_app, opa_client, opa_tasks):
        assert opa_client.post("/keep/409").status_code == 409
        assert opa_tasks.sent() == []
        opa_client.post("/keep/200")
        opa_tasks.assert_sent("opa.events.relay")
        assert [sent.name for sent in opa_tasks.run()][1:] == ["opa.events.fan_out", "work.hear"]
        assert opa_app.plugin("work").heard == [200]


    @pytest.mark.anyio
    @pytest.mark.opa(tasks="eager")
    async def test_eager_events_of_a_transaction(opa_app, opa_async_client, opa_tasks):
        await opa_async_client.post("/keep/200")
        while opa_app.plugin("work").heard != [200]:
            await asyncio.sleep(0.01)


    def test_options_are_recorded(opa_app, opa_tasks):
        opa_app.plugin("work").double.apply_async((2,), queue="slow", countdown=60)
        (sent,) = opa_tasks.sent(opa_app.plugin("work").double)
        assert (sent.queue, sent.countdown) == ("slow", 60)


    def test_a_unique_task_is_sent_once_until_it_has_run(opa_app, opa_tasks):
        alone = opa_app.plugin("work").alone
        alone.delay()
        alone.delay()
        assert len(opa_tasks.run()) == 1
        alone.delay()
        assert len(opa_tasks.run()) == 1


    def test_a_chain_runs(opa_app, opa_tasks):
        double = opa_app.plugin("work").double
        chain(double.s(1), double.s(), double.s()).delay()
        assert [sent.result for sent in opa_tasks.run()] == [2, 4, 8]


    def test_tasks_without_an_end_are_told(opa_app, opa_tasks):
        opa_app.plugin("work").forever.delay()
        with pytest.raises(opa.OpaError, match="without an end"):
            opa_tasks.run()


    def test_a_broker_that_does_not_answer(opa_app, opa_client, opa_tasks):
        opa_tasks.refuse()
        assert opa_client.post("/try").status_code == 503
        with pytest.raises(OperationalError):
            opa_app.plugin("work").double.delay(1)
        assert opa_tasks.sent() == []


    def test_events_are_posted_to_nobody(opa_app, opa_client, opa_tasks):
        assert opa.config.WEBHOOKS_OUT == {}
        opa_client.post("/emit")
        assert [sent.name for sent in opa_tasks.run()] == ["opa.events.fan_out", "work.hear"]


    CRM = {"ON": "*", "URL": "http://127.0.0.1:1", "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


    @pytest.mark.opa(settings={"WEBHOOKS_OUT": {"crm": CRM}})
    def test_a_webhook_that_is_wished_is_tried_to_its_end(opa_app, opa_client, opa_tasks, monkeypatch):
        monkeypatch.setattr("opa.plugins.webhooks_out.delivery.PAUSES", (1500,))
        assert list(opa.config.WEBHOOKS_OUT) == ["crm"]
        opa_client.post("/emit")
        states = [sent.state for sent in opa_tasks.run(raises=False) if sent.name == "webhooks_out.crm"]
        assert states == ["RETRY", "RETRY", "RETRY", "FAILURE"]


    def test_what_was_sent_is_forgotten(opa_app, opa_tasks):
        opa_app.plugin("work").double.delay(1)
        opa_tasks.clear()
        opa_tasks.assert_not_sent("work.double")


    @pytest.mark.opa(tasks="eager")
    def test_eager_tasks_run_when_they_are_sent(opa_app, opa_tasks):
        async def send():
            result = await opa_app.plugin("work").count.send(3)
            return await result.state(), await result.get(timeout=5)

        assert opa_app.run(send) == ("SUCCESS", 3)
        assert opa_tasks.sent()[0].result == 3


    @pytest.mark.opa(plugins=["shop"], settings={"OPTIONAL_COMPONENTS": {"CELERY": {"OPTS": {"BACKEND_URL": ""}}}})
    def test_without_results(opa_app, opa_tasks):
        async def send():
            return await (await opa_app.plugin("shop").restock.send("tea")).state()

        with pytest.raises(opa.OpaError, match="results of tasks are not kept"):
            opa_app.run(send)
        assert [sent.result for sent in opa_tasks.run()] == ["1 of tea"]
"""


def test_tasks_are_recorded_and_run_as_in_a_worker(suite: Suite) -> None:
    suite.write("plugins/work.py", PLUGIN)
    suite.write("plugins/transactions.py", TRANSACTIONS)
    suite.write("settings/settings.yaml", SETTINGS)
    suite.write("tests/test_work.py", TESTS)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 18
    assert set(outcomes.values()) == {"PASSED"}

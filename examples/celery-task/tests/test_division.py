"""The route and the task of a division, without a worker: what is sent is recorded, and runs when the test says so."""

import pytest

from opa.testing import OpaClient, OpaTasks


def test_a_division_is_sent_to_its_queue(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    answer = opa_client.post("/division?dividend=84&divisor=2")
    sent = opa_tasks.assert_sent("division.divide", 84, divisor=2)
    assert sent.queue == "math"
    assert answer.json() == {"task": sent.id}


def test_the_result_is_there_when_the_task_has_run(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    task = opa_client.post("/division?dividend=84&divisor=2").json()["task"]
    assert opa_client.get(f"/tasks/{task}/result").status_code == 409
    opa_tasks.run()
    assert opa_client.get(f"/tasks/{task}/result").json() == 42.0


def test_a_division_by_zero_has_failed(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    task = opa_client.post("/division?dividend=1&divisor=0").json()["task"]
    with pytest.raises(ZeroDivisionError):
        opa_tasks.run()
    state = {"state": "FAILURE", "info": "ZeroDivisionError: division by zero"}
    assert opa_client.get(f"/tasks/{task}").json() == state


def test_counting_reports_its_progress(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    task = opa_client.post("/counter/1").json()["task"]
    opa_tasks.run()
    assert opa_client.get(f"/tasks/{task}/result").json() == 1

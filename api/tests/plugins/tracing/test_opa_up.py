"""Without Docker: `opa up` with its own servers, whose worker has threads."""

from __future__ import annotations

from pathlib import Path

from tests.local.up import up_in
from tests.otlp_receiver import otlp_receiver
from tests.serve.process import wait_until

ORDERS = """
from opa import get_instance, get_router, task

router = get_router()


@task
def ship(number):
    get_instance("walrus").set("last", number)


@task
async def bill(number):
    await get_instance("aioredis").set("bill", number)


@router.post("/orders/{number}")
async def order(number: int):
    await ship.send(number)
    await bill.send(number)
    return number
"""


def test_opa_up_has_one_trace_with_the_request_the_task_and_its_redis_call(tmp_path: Path) -> None:
    with otlp_receiver() as receiver, up_in(tmp_path / "project") as up:
        (up.folder / "plugins").mkdir()
        (up.folder / "plugins" / "orders.py").write_text(ORDERS)
        up.environ |= receiver.environment()
        up.start()
        up.wait_until_ready()
        wait_until(lambda: up.request("/orders/7", "POST") == 7, what=lambda: up.output)

        def runs() -> bool:
            return bool(receiver.named("run orders.ship") and receiver.named("run orders.bill"))

        wait_until(runs, what=lambda: up.output)
        request = receiver.named("POST /orders/{number}")[0]
        for task in ("ship", "bill"):
            run = next(each for each in receiver.named(f"run orders.{task}") if each.trace_id == request.trace_id)
            send = next(each for each in receiver.named(f"send orders.{task}") if each.span_id == run.parent_id)
            assert send.trace_id == request.trace_id
            assert "SET" in {span.name for span in receiver.children_of(run)}
            assert (request.service, run.service) == ("opa-stack-api", "opa-stack-worker")

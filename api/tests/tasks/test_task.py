"""What a task can do, in both pools; each test sends tasks to a real worker, which the tests of a pool share."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import chain, chord, group
from celery.exceptions import MaxRetriesExceededError, Retry, SoftTimeLimitExceeded, TimeLimitExceeded
from kombu.exceptions import EncodeError

from opa.errors import TaskArgumentError
from tests.project import Project
from tests.serve.process import wait_until
from tests.tasks.workers import lasting_task_project

SHOP = """
from opa import get_router
from shop.tasks import add, add_async

router = get_router()


@router.post("/add/{a}/{b}")
async def send(a: int, b: int) -> int:
    return await (await add_async.send(a, b)).get(timeout=60)


@router.post("/add-sync/{a}/{b}")
def delay(a: int, b: int) -> int:
    return add.delay(a, b).get(timeout=60)
"""

SHOP_TASKS = """
import asyncio
import threading
import time
from contextlib import suppress

from celery import current_task
from celery.exceptions import MaxRetriesExceededError, SoftTimeLimitExceeded

from opa import log, task


class SoldOutError(Exception):
    pass


@task
def add(a, b=0):
    return a + b


@task
async def add_async(a, b=0):
    await asyncio.sleep(0.01)
    return a + b


@task
def total(numbers):
    return sum(numbers)


@task(name="by.another.name", ignore_result=False)
async def named():
    return current_task is not None


@task
def sell():
    raise SoldOutError("come back", 7)


@task
async def sell_async():
    await asyncio.sleep(0)
    raise SoldOutError("come back", 7)


@task
async def leave():
    raise SystemExit(3)


@task
def unfit():
    return object()


@task(bind=True)
def whoami(self, number):
    return [self.name, self.request.id, number]


@task(bind=True)
async def whoami_async(self, number):
    await asyncio.sleep(0.05)
    in_thread = await asyncio.to_thread(lambda: self.request.id)
    return [self.name, self.request.id, number, in_thread]


@task(bind=True)
def progress(self):
    self.update_state(state="HALF", meta={"done": 50})
    time.sleep(1)
    return "done"


@task(bind=True)
async def progress_async(self):
    self.update_state(state="HALF", meta={"done": 50})
    await asyncio.sleep(1)
    return "done"


@task(bind=True, max_retries=3, default_retry_delay=0)
def again(self, times):
    if self.request.retries < times:
        raise self.retry()
    return self.request.retries


@task(bind=True, max_retries=3, default_retry_delay=0)
async def again_async(self, times):
    await asyncio.sleep(0)
    if self.request.retries < times:
        raise self.retry()
    return self.request.retries


@task(bind=True, max_retries=1, default_retry_delay=0)
async def again_with(self, error):
    try:
        raise SoldOutError(error)
    except SoldOutError as exc:
        raise self.retry(exc=exc)


@task(bind=True, max_retries=1, default_retry_delay=0)
async def gives_up(self):
    try:
        raise self.retry()
    except MaxRetriesExceededError:
        return "gave up"


@task(bind=True, max_retries=3, default_retry_delay=0)
async def again_otherwise(self, word):
    if word == "first":
        raise self.retry(args=["second"])
    return word


@task(bind=True, autoretry_for=(SoldOutError,), max_retries=2, default_retry_delay=0)
def by_itself(self):
    if self.request.retries < 2:
        raise SoldOutError
    return self.request.retries


@task(bind=True, autoretry_for=(SoldOutError,), max_retries=2, default_retry_delay=0)
async def by_itself_async(self):
    await asyncio.sleep(0)
    if self.request.retries < 2:
        raise SoldOutError
    return self.request.retries


@task(soft_time_limit=0.5, time_limit=20)
def slow():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@task(soft_time_limit=0.5, time_limit=20)
async def slow_async():
    await asyncio.sleep(30)


@task(soft_time_limit=0.5, time_limit=20)
async def slow_async_that_cleans_up():
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        await asyncio.sleep(1)
        return "cleaned up"


@task(time_limit=1, soft_time_limit=0.9)
def endless():
    while True:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(1)


@task(time_limit=1)
async def endless_async():
    await asyncio.sleep(30)


@task(time_limit=1, soft_time_limit=0.9)
async def stubborn_async():
    for _ in range(100):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)


def note(self, *_):
    time.sleep(1.5)
    log.info(f"what follows {self.name} is done")


@task(soft_time_limit=0.5, time_limit=20, on_success=note)
def ends_early():
    pass


@task(soft_time_limit=0.5, time_limit=20, on_success=note)
async def ends_early_async():
    pass


@task(soft_time_limit=0.5, time_limit=20, on_failure=note)
async def ends_at_its_limit_async():
    await asyncio.sleep(30)


@task(soft_time_limit=0.5, time_limit=20)
def calls_others_and_is_slow():
    add.run(2, 3)
    time.sleep(30)


@task(soft_time_limit=0.5, time_limit=20)
def calls_a_slow_one():
    return slow()


@task
async def without_limit(seconds):
    await asyncio.sleep(seconds)


@task
def calls_directly():
    return add(2, 3)


@task
async def calls_directly_async():
    return await add_async(2, 3) + add(1, 1)


@task
def sends(a, b):
    return add_async.delay(a, b).id


@task(bind=True)
async def sends_async(self, a, b):
    inner = await add.send(a, b)
    return [await inner.get(timeout=60), self.request.id]


@task(bind=True)
def family(self):
    return [self.request.root_id, self.request.parent_id]


@task
async def parent():
    return await (await family.send()).get(timeout=60)


@task
async def holds_itself_up():
    return repr(add_async.apply((1, 2)).result)


@task
async def where():
    return [threading.current_thread().name, id(asyncio.get_running_loop())]
"""

ORIGINAL = """
from fastapi import BackgroundTasks

from opa import Hook, get_instance, get_router
from original.tasks import divide


class Routes(Hook):
    name = "driver.celery.setup"

    def run(self, celery_app):
        celery_app.conf.task_routes = {"original.tasks.divide": "celery"}
        celery_app.conf.update(task_track_started=True)
        return celery_app


router = get_router()


@router.get("/div/{a}/{b}")
def div(a: int, b: int):
    from original.tasks import divide as inner

    assert inner is divide
    return str(divide.delay(a, b))


@router.get("/status/{task_id}")
def status(task_id: str):
    result = get_instance("celery").AsyncResult(task_id)
    return {"state": result.state, "result": str(result.result)}
"""

ORIGINAL_TASKS = """
from time import sleep

from celery import current_task

from opa import get_instance

celery = get_instance("celery")


@celery.task
def divide(a, b):
    current_task.update_state(state="PROGRESS", meta={"percent": 50})
    return a / b


@celery.task(bind=True)
def wait(self):
    state = self.AsyncResult(self.request.id).state
    return state
"""

SINGLE = """
from opa import task


@task
def shout(word: str) -> str:
    return word.upper()
"""

TYPED = """
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from celery import shared_task
from pydantic import BaseModel

from opa import task

if TYPE_CHECKING:
    from decimal import Decimal


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    name: str
    colors: set[Color] = set()


@dataclass
class Order:
    items: list[Item]
    secret: bytes = b""


class Place(NamedTuple):
    row: int
    seat: int


def shown(*values: Any) -> str:
    return repr(values)


@task
def show(value):
    return shown(value)


@task
def show_all(item: Item, *orders: Order, color: Color = Color.BLUE, price: Decimal = 1, **places: Place | None) -> str:
    return shown(item, orders, color, price, places)


@task(bind=True)
async def show_again(self, item: Annotated[Item, "sold"], colors: dict[Color, frozenset[Item] | None] | None = None):
    if not self.request.retries:
        self.retry(countdown=0)
    return shown(self.request.args[0] is not None, item, colors)


@task
def paint(name: str, *colors: Color) -> Item:
    return Item(name=name, colors=set(colors))


@task
async def order(items: list[Item], secret: bytes = b"") -> Order:
    return Order(items, secret)


@task
def same(value: Any) -> Any:
    return value


@task
def seat(row: int) -> tuple[Place, ...]:
    return (Place(row, 1), Place(row, 2))


@task
def unsaid(name):
    return Item(name=name)


@shared_task
def show_shared(item: Item) -> str:
    return shown(item)
"""


PROCESSES, THREADS = "-c 3", "-P threads -c 8"
in_processes = pytest.mark.parametrize("pool", [PROCESSES], ids=["processes"], indirect=True)
"""For what a thread cannot do: it cannot be interrupted."""


@pytest.fixture(scope="module", params=[PROCESSES, THREADS], ids=["processes", "threads"])
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A worker, and the api in this process that sends it tasks."""
    with lasting_task_project(tmp_path_factory) as tasks:
        tasks.plugin("shop/__init__.py", SHOP)
        tasks.plugin("shop/tasks.py", SHOP_TASKS)
        tasks.plugin("original/__init__.py", ORIGINAL)
        tasks.plugin("original/tasks.py", ORIGINAL_TASKS)
        tasks.plugin("single.py", SINGLE)
        tasks.plugin("typed.py", TYPED)
        worker = tasks.worker(request.param)
        with tasks.sending() as client:
            yield SimpleNamespace(
                client=client,
                shop=tasks.module("shop.tasks"),
                original=tasks.module("original.tasks"),
                single=tasks.module("single"),
                typed=tasks.module("typed"),
                worker=worker,
                celery=tasks.module("original.tasks").celery,
                is_threads="threads" in request.param,
            )


def run(pool: SimpleNamespace, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine function on the event loop of the api."""
    return pool.client.portal.call(function)


def get(task: Any, *args: Any) -> Any:
    return task.delay(*args).get(timeout=60)


@pytest.mark.parametrize("name", ["add", "add_async"])
def test_a_worker_runs_def_and_async_def(pool: SimpleNamespace, name: str) -> None:
    assert get(getattr(pool.shop, name), 2, 3) == 5


def test_a_task_may_stand_in_any_plugin(pool: SimpleNamespace) -> None:
    assert get(pool.single.shout, "hey") == "HEY"


def test_the_decorator_takes_options_of_celery(pool: SimpleNamespace) -> None:
    assert pool.shop.named.name == "by.another.name"
    assert "by.another.name" in pool.celery.tasks


def test_a_route_uses_tasks_that_its_file_imports_at_the_top(pool: SimpleNamespace) -> None:
    assert pool.client.post("/add/2/3").json() == 5
    assert pool.client.post("/add-sync/2/3").json() == 5


def test_tasks_of_the_original_opa_stack_run_unchanged(pool: SimpleNamespace) -> None:
    task_id = pool.client.get("/div/8/2").json()
    wait_until(lambda: pool.client.get(f"/status/{task_id}").json() == {"state": "SUCCESS", "result": "4.0"})
    assert pool.original.divide.name == "original.tasks.divide"


def test_the_setup_hook_changes_tasks_that_were_imported_before_it_was_called(pool: SimpleNamespace) -> None:
    assert pool.original.divide.track_started
    assert get(pool.original.wait) == "STARTED"


def test_tasks_have_the_defaults_of_the_settings(pool: SimpleNamespace) -> None:
    for task in (pool.shop.add, pool.shop.add_async, pool.original.divide, pool.single.shout):
        assert task.acks_late
        assert task.reject_on_worker_lost
        assert (task.soft_time_limit, task.time_limit) == (1500, 1620)


@pytest.mark.parametrize("name", ["sell", "sell_async"])
def test_the_exception_of_a_task_is_raised_where_its_result_is_asked_for(pool: SimpleNamespace, name: str) -> None:
    task = getattr(pool.shop, name)
    with pytest.raises(pool.shop.SoldOutError) as caught:
        task.delay().get(timeout=60)
    assert caught.value.args == ("come back", 7)

    async def from_the_event_loop() -> None:
        await (await task.send()).get(timeout=60)

    with pytest.raises(pool.shop.SoldOutError, match="come back"):
        run(pool, from_the_event_loop)


def test_an_async_task_that_exits_fails_and_the_worker_continues(pool: SimpleNamespace) -> None:
    with pytest.raises(RuntimeError, match="SystemExit"):
        get(pool.shop.leave)
    assert get(pool.shop.add_async, 1) == 1


def test_a_result_that_is_not_json_fails_the_task(pool: SimpleNamespace) -> None:
    with pytest.raises(EncodeError, match="object is not JSON"):
        get(pool.shop.unfit)


def test_a_bound_task_knows_its_request(pool: SimpleNamespace) -> None:
    result = pool.shop.whoami.delay(1)
    assert result.get(timeout=60) == ["shop.tasks.whoami", result.id, 1]


def test_async_tasks_that_run_side_by_side_know_each_its_own_request(pool: SimpleNamespace) -> None:
    results = [pool.shop.whoami_async.delay(number) for number in range(8)]
    assert [result.get(timeout=60) for result in results] == [
        ["shop.tasks.whoami_async", result.id, number, result.id] for number, result in enumerate(results)
    ]


@pytest.mark.parametrize("name", ["progress", "progress_async"])
def test_a_task_tells_its_progress(pool: SimpleNamespace, name: str) -> None:
    result = getattr(pool.shop, name).delay()
    wait_until(lambda: result.state == "HALF", what="the progress is seen")
    assert result.info == {"done": 50}
    assert result.get(timeout=60) == "done"


@pytest.mark.parametrize("name", ["again", "again_async"])
def test_a_task_is_tried_again(pool: SimpleNamespace, name: str) -> None:
    assert get(getattr(pool.shop, name), 2) == 2


@pytest.mark.parametrize("name", ["again", "again_async"])
def test_a_task_that_is_tried_too_often_fails(pool: SimpleNamespace, name: str) -> None:
    with pytest.raises(MaxRetriesExceededError):
        get(getattr(pool.shop, name), 99)


def test_a_retry_in_a_coroutine_raises_the_given_exception_in_the_end(pool: SimpleNamespace) -> None:
    with pytest.raises(pool.shop.SoldOutError, match="why"):
        get(pool.shop.again_with, "why")


def test_a_coroutine_can_catch_that_there_is_no_further_try(pool: SimpleNamespace) -> None:
    assert get(pool.shop.gives_up) == "gave up"


def test_a_retry_in_a_coroutine_may_change_the_arguments(pool: SimpleNamespace) -> None:
    assert get(pool.shop.again_otherwise, "first") == "second"


@pytest.mark.parametrize("name", ["by_itself", "by_itself_async"])
def test_a_task_is_tried_again_for_the_exceptions_of_autoretry(pool: SimpleNamespace, name: str) -> None:
    assert get(getattr(pool.shop, name)) == 2


@in_processes
def test_the_soft_time_limit_of_a_def_lets_it_clean_up(pool: SimpleNamespace) -> None:
    assert get(pool.shop.slow) == "cleaned up"


def test_the_soft_time_limit_cancels_a_coroutine(pool: SimpleNamespace) -> None:
    before = time.monotonic()
    with pytest.raises(SoftTimeLimitExceeded):
        get(pool.shop.slow_async)
    assert time.monotonic() - before < 20


@in_processes
@pytest.mark.parametrize("name", ["ends_early", "ends_early_async", "ends_at_its_limit_async"])
def test_the_soft_time_limit_does_not_interrupt_what_follows_a_task(pool: SimpleNamespace, name: str) -> None:
    getattr(pool.shop, name).delay().get(timeout=20, propagate=False)
    wait_until(lambda: pool.worker.says(f"what follows shop.tasks.{name} is done"))


@in_processes
def test_the_soft_time_limit_holds_while_a_task_calls_another_and_after_it(pool: SimpleNamespace) -> None:
    assert get(pool.shop.calls_a_slow_one) == "cleaned up"
    with pytest.raises(SoftTimeLimitExceeded):
        get(pool.shop.calls_others_and_is_slow)


def test_a_coroutine_at_its_soft_time_limit_can_await_what_it_cleans_up(pool: SimpleNamespace) -> None:
    assert get(pool.shop.slow_async_that_cleans_up) == "cleaned up"


@in_processes
def test_the_time_limit_ends_a_def(pool: SimpleNamespace) -> None:
    with pytest.raises(TimeLimitExceeded):
        get(pool.shop.endless)


def test_the_time_limit_ends_a_coroutine(pool: SimpleNamespace) -> None:
    with pytest.raises(TimeLimitExceeded):
        get(pool.shop.endless_async)
    assert get(pool.shop.add_async, 1) == 1


def test_a_time_limit_of_its_own_replaces_the_soft_one_of_the_settings_if_that_is_longer(pool: SimpleNamespace) -> None:
    assert pool.shop.endless_async.soft_time_limit is None
    assert pool.shop.endless.soft_time_limit == 0.9


def test_a_coroutine_that_will_not_end_fails_a_little_later(pool: SimpleNamespace) -> None:
    with pytest.raises(TimeLimitExceeded):
        get(pool.shop.stubborn_async)
    assert get(pool.shop.add_async, 1) == 1


def test_the_time_limit_may_be_given_when_the_task_is_sent(pool: SimpleNamespace) -> None:
    with pytest.raises(SoftTimeLimitExceeded):
        pool.shop.without_limit.apply_async((30,), soft_time_limit=0.5).get(timeout=60)


def test_a_task_that_is_sent_by_name_alone_has_the_limits_of_its_decorator(pool: SimpleNamespace) -> None:
    result = pool.celery.send_task("shop.tasks.slow_async", time_limit=None, soft_time_limit=None)
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(timeout=60)


def test_a_task_that_is_called_runs_here_and_now(pool: SimpleNamespace) -> None:
    assert pool.shop.add(2, 3) == 5

    async def call() -> Any:
        return await pool.shop.add_async(2, 3)

    assert run(pool, call) == 5


@pytest.mark.parametrize(("name", "expected"), [("calls_directly", 5), ("calls_directly_async", 7)])
def test_tasks_call_one_another_as_functions(pool: SimpleNamespace, name: str, expected: int) -> None:
    assert get(getattr(pool.shop, name)) == expected


def test_a_task_can_send_tasks(pool: SimpleNamespace) -> None:
    inner = pool.celery.AsyncResult(get(pool.shop.sends, 2, 3))
    assert inner.get(timeout=60) == 5
    result = pool.shop.sends_async.delay(2, 3)
    assert result.get(timeout=60) == [5, result.id]


def test_a_task_that_a_coroutine_sends_knows_its_parent(pool: SimpleNamespace) -> None:
    result = pool.shop.parent.delay()
    assert result.get(timeout=60) == [result.id, result.id]


def test_a_call_that_would_hold_the_event_loop_for_ever_is_an_error(pool: SimpleNamespace) -> None:
    assert "await it instead" in get(pool.shop.holds_itself_up)


def test_chains_groups_and_chords_of_celery_work(pool: SimpleNamespace) -> None:
    add, add_async, total = pool.shop.add, pool.shop.add_async, pool.shop.total
    assert chain(add_async.s(1, 2), add.s(3), add_async.s(4)).apply_async().get(timeout=60) == 10
    assert group(add_async.s(number, 1) for number in range(4)).apply_async().get(timeout=60) == [1, 2, 3, 4]
    assert chord((add_async.s(number, 1) for number in range(4)), total.s()).apply_async().get(timeout=60) == 10


def test_all_async_tasks_of_a_process_share_one_loop(pool: SimpleNamespace) -> None:
    results = [pool.shop.where.delay() for _ in range(6)]
    places = [tuple(result.get(timeout=60)) for result in results]
    assert {name for name, _ in places} == {"event-loop"}
    if pool.is_threads:
        assert len(set(places)) == 1


@pytest.mark.parametrize("name", ["add", "add_async"])
def test_sending_does_not_hold_the_event_loop(
    pool: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    waiting = Waiting(pool.celery.send_task)

    async def send() -> Any:
        monkeypatch.setattr(pool.celery, "send_task", waiting)
        sending = asyncio.create_task(getattr(pool.shop, name).send(2, 3))
        await waiting.let_go()
        return await (await sending).get(timeout=60)

    assert run(pool, send) == 5


def test_waiting_for_a_result_does_not_hold_the_event_loop(
    pool: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Waiting(pool.celery.backend.get_task_meta)

    async def send() -> Any:
        result = await pool.shop.add.send(2, 3)
        monkeypatch.setattr(result.celery.backend, "get_task_meta", waiting)
        getting = asyncio.create_task(result.get(timeout=60))
        await waiting.let_go()
        return await getting

    assert run(pool, send) == 5


class Waiting:
    """A call of `function` that waits for something which the event loop does meanwhile."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._begun, self._let_go = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **options: Any) -> Any:
        self._begun.set()
        assert self._let_go.wait(20), "the event loop is held"
        return self._function(*args, **options)

    async def let_go(self) -> None:
        while not self._begun.is_set():
            await asyncio.sleep(0.001)
        self._let_go.set()


def test_a_task_may_be_sent_with_options_of_celery(pool: SimpleNamespace) -> None:
    async def send() -> Any:
        before = time.monotonic()
        value = await (await pool.shop.add.send_with({"countdown": 1}, 2, b=3)).get(timeout=60)
        return value, time.monotonic() - before

    value, took = run(pool, send)
    assert value == 5
    assert took >= 1


def test_a_fraction_of_a_second_is_a_countdown_too(pool: SimpleNamespace) -> None:
    assert pool.shop.add.apply_async((2, 3), countdown=0.3).get(timeout=60) == 5


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [((1, object()), {}, r"argument 'b' \(object\)"), ((), {"a": 1, "b": {1}}, r"argument 'b' \(set\)")],
)
def test_an_argument_that_is_not_json_is_refused_at_the_call(
    pool: SimpleNamespace, args: Any, kwargs: Any, said: str
) -> None:
    async def send() -> None:
        await pool.shop.add.send(*args, **kwargs)

    calls: list[Callable[[], object]] = [lambda: pool.shop.add.delay(*args, **kwargs), lambda: run(pool, send)]
    for call in calls:
        with pytest.raises(TaskArgumentError, match=rf"'shop\.tasks\.add' is sent with {said}.*shop/tasks\.py:\d+"):
            call()


def test_arguments_that_celery_writes_as_json_are_not_blamed(pool: SimpleNamespace) -> None:
    from datetime import UTC, datetime

    with pytest.raises(TaskArgumentError, match="argument 'b'"):
        pool.shop.add.delay(datetime.now(UTC), object())


def test_arguments_that_do_not_fit_the_function_are_refused_at_the_call(pool: SimpleNamespace) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        pool.shop.add_async.delay()


def test_an_argument_arrives_as_its_annotation_says(pool: SimpleNamespace) -> None:
    typed = pool.typed
    item, color = typed.Item(name="tea", colors={typed.Color.RED}), typed.Color.RED
    orders = (typed.Order([item], b"\xff"), typed.Order([]))
    shown = get(typed.show_all, item, *orders)
    assert shown == typed.shown(item, orders, typed.Color.BLUE, 1, {})
    sent = typed.show_all.delay(item=item, color=color, window=typed.Place(1, 2), door=None)
    assert sent.get(timeout=60) == typed.shown(item, (), color, 1, {"window": typed.Place(1, 2), "door": None})
    assert get(typed.show_shared, item) == typed.shown(item)


def test_an_argument_arrives_as_it_was_sent_also_when_the_task_is_tried_again(pool: SimpleNamespace) -> None:
    typed = pool.typed
    item, colors = typed.Item(name="tea"), {typed.Color.RED: None}
    assert get(typed.show_again, item, colors) == typed.shown(True, item, colors)


def test_an_argument_arrives_as_it_was_sent_by_the_name_of_the_task(pool: SimpleNamespace) -> None:
    item = pool.typed.Item(name="tea")
    assert pool.celery.send_task("typed.show_all", [item]).get(timeout=60) == pool.typed.show_all(item)
    assert pool.celery.signature("typed.show_shared", [item]).delay().get(timeout=60) == pool.typed.shown(item)


def test_json_arrives_as_json_whatever_the_annotation_says(pool: SimpleNamespace) -> None:
    shown = get(pool.typed.show_all, {"name": "tea"}, (1, 2))
    assert shown == pool.typed.shown({"name": "tea"}, ((1, 2),), pool.typed.Color.BLUE, 1, {})


def test_the_result_of_a_task_arrives_as_its_annotation_says(pool: SimpleNamespace) -> None:
    typed = pool.typed
    item = typed.Item(name="tea", colors={typed.Color.RED})
    assert get(typed.paint, "tea", typed.Color.RED) == item
    assert get(typed.order, [item], b"\xff") == typed.Order([item], b"\xff")
    assert get(typed.seat, 3) == (typed.Place(3, 1), typed.Place(3, 2))
    assert [type(place) for place in get(typed.seat, 3)] == [typed.Place, typed.Place]
    assert get(typed.same, (1, {2: (3,)})) == (1, {2: (3,)})

    async def wait() -> Any:
        return await (await typed.paint.send("tea", typed.Color.RED)).get(timeout=60)

    assert run(pool, wait) == item
    with pytest.raises(EncodeError, match="its result of the type Item is not JSON"):
        get(typed.unsaid, "tea")


def test_arguments_and_results_go_through_chains_groups_and_chords_as_they_are(pool: SimpleNamespace) -> None:
    typed = pool.typed
    red, blue = typed.Color
    items = [typed.Item(name="tea", colors={red}), typed.Item(name="milk", colors={blue})]
    both = group(typed.paint.s("tea", red), typed.paint.s("milk", blue))
    assert both.apply_async().get(timeout=60) == items
    assert chord(both, typed.order.s(b"\xff")).apply_async().get(timeout=60) == typed.Order(items, b"\xff")
    order = typed.Order([items[0]])
    chained = chain(typed.paint.s("tea", red), typed.show_all.s(order, color=red))
    assert chained.apply_async().get(timeout=60) == typed.shown(items[0], (order,), red, 1, {})
    later = chain(typed.paint.s("tea", red), group(typed.show_all.s(order), typed.show_shared.s()))
    assert later.apply_async().get(timeout=60) == [
        typed.shown(items[0], (order,), blue, 1, {}),
        typed.shown(items[0]),
    ]
    fixed = chain(typed.show.si(1), typed.show_shared.si(items[1]))
    assert fixed.apply_async().get(timeout=60) == typed.shown(items[1])


@pytest.mark.parametrize("name", ["show", "show_shared", "show_all"])
def test_an_argument_that_no_annotation_reads_is_refused_with_its_name(pool: SimpleNamespace, name: str) -> None:
    said = rf"'typed\.{name}' is sent with argument '(value|item)' \(Order\) that is not JSON.*typed\.py:\d+"
    order = pool.typed.Order([])
    with pytest.raises(TaskArgumentError, match=said):
        getattr(pool.typed, name).delay(order)
    with pytest.raises(TaskArgumentError, match=said):
        pool.celery.send_task(f"typed.{name}", [order])


def test_a_retry_outside_of_a_worker_is_raised(pool: SimpleNamespace) -> None:
    async def call() -> Any:
        return await pool.shop.again_async(1)

    with pytest.raises(Retry):
        run(pool, call)


def test_a_plugin_that_is_imported_by_hand_has_tasks_that_can_be_called(project: Project) -> None:
    import importlib.util

    file = project.plugin("alone.py", "from opa import task\n\n@task\nasync def double(n):\n    return 2 * n\n")
    spec = importlib.util.spec_from_file_location("alone", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert asyncio.run(module.double(4)) == 8
    assert module.double.apply((4,)).get() == 8

"""Tasks with limits in workers, whatever becomes of them."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial

import pytest
from celery import chain

from opa.errors import ComponentUnavailableError
from opa.tasks.limits.sending import MAY_HAVE_ANOTHER_ID
from tests.serve.process import wait_until
from tests.servers import Server, redis_server
from tests.tasks.limits.jobs import Jobs
from tests.tasks.workers import Worker, lasting_task_project


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, server: Server, redis_url: str) -> Iterator[Jobs]:
    urls = {"broker": f"{redis_url}/12", "backend": f"{redis_url}/13"}
    with lasting_task_project(tmp_path_factory, **urls) as tasks:
        found = Jobs(tasks, counts=f"{redis_url}/14", limits=f"{server.url}/0")
        with tasks.sending():
            yield found


@pytest.fixture(scope="module")
def worker(jobs: Jobs) -> Worker:
    return jobs.tasks.worker("-c 4 -n first@%h")


def test_as_many_as_the_limit_run_at_once_and_others_beside_them(jobs: Jobs, worker: Worker) -> None:
    for number in range(60):
        jobs.module.two.delay(number, "many")
    jobs.module.free.delay("beside")
    jobs.wait_until("ended", "beside", 1)
    assert jobs.number("ended", "many") < 60
    jobs.wait_until("ended", "many", 60)
    assert jobs.most("many") == 2
    assert sorted(int(number) for number in jobs.counts.lrange("order:many", 0, -1)) == list(range(60))


def test_those_that_wait_run_in_the_order_in_which_they_came_to_a_worker(jobs: Jobs, worker: Worker) -> None:
    jobs.module.each.delay("carol", "carol")
    jobs.wait_until("began", "carol", 1)
    for number in range(12):
        waiting = jobs.module.each.delay("carol", f"carol-{number}", 0)
        wait_until(partial(jobs.waits, waiting), what="it is in the line")
    jobs.let_go("carol")
    jobs.wait_until("ended", "carol-11", 1)
    times = [time for number in range(12) for time in jobs.times(f"carol-{number}")]
    assert len(times) == 12
    assert times == sorted(times)


def test_a_limit_holds_for_each_value_of_an_argument(jobs: Jobs, worker: Worker) -> None:
    for customer in ("ada", "ada", "bob"):
        jobs.module.each.delay(customer, customer)
    jobs.wait_until("began", "ada", 1)
    jobs.wait_until("began", "bob", 1)
    jobs.let_go("bob")
    jobs.wait_until("ended", "bob", 1)
    assert jobs.number("began", "ada") == 1
    jobs.let_go("ada")
    jobs.wait_until("ended", "ada", 2)
    assert jobs.most("ada") == 1


def test_whose_turn_has_come_is_not_behind_a_long_queue(jobs: Jobs, worker: Worker) -> None:
    assert jobs.begins_before_a_long_queue("lane")


def test_no_more_start_than_the_rate_allows_in_any_time(jobs: Jobs, worker: Worker) -> None:
    for _ in range(14):
        jobs.module.paced.delay("paced")
    jobs.wait_until("ended", "paced", 14)
    times = sorted(jobs.times("paced"))
    # What is counted is when they were let through, a moment before they began.
    assert min(later - first for first, later in zip(times, times[5:], strict=False)) > 2.5


def test_a_second_one_is_not_sent_and_the_first_id_is_given(jobs: Jobs, worker: Worker) -> None:
    first = jobs.module.once.delay("twice", 60)
    others = [jobs.module.once.delay("twice") for _ in range(5)]
    assert {other.id for other in others} == {first.id}
    assert jobs.module.once.delay("another").id != first.id
    jobs.let_go("twice")
    assert others[0].get(timeout=60) == "twice"
    assert jobs.number("began", "twice") == 1
    wait_until(lambda: jobs.module.once.delay("twice").id != first.id, what="it is free")


def test_an_asynchronous_task_is_unique_as_well(jobs: Jobs, worker: Worker) -> None:
    results = {jobs.module.later.delay("sky").id for _ in range(3)}
    jobs.wait_until("ended", "sky", 1)
    assert len(results) <= jobs.number("ended", "sky")


@pytest.mark.parametrize("end", ["fail", "retry"])
def test_a_text_is_held_over_retries_and_free_after_a_failure(jobs: Jobs, worker: Worker, end: str) -> None:
    first = jobs.module.once.delay(end, 0, end)
    if end == "retry":
        jobs.wait_until("ended", end, 1)
        assert jobs.module.once.delay(end).id == first.id
        assert first.get(timeout=60) == end
    else:
        with pytest.raises(ValueError, match=end):
            first.get(timeout=60)
    wait_until(lambda: jobs.module.once.delay(end).id != first.id, what="it is free")


def test_limits_hold_in_a_pool_of_threads_and_in_another_queue(jobs: Jobs) -> None:
    jobs.tasks.worker("-P threads -c 6 -Q threads -n threads@%h")
    for number in range(20):
        jobs.module.two.apply_async((number, "threads", 0.05), queue="threads")
    jobs.module.later.apply_async(("threads-sky",), queue="threads")
    jobs.wait_until("ended", "threads", 20)
    jobs.wait_until("ended", "threads-sky", 1)
    assert jobs.most("threads") == 2


def test_a_scheduled_task_that_still_runs_is_not_sent_again(jobs: Jobs, worker: Worker) -> None:
    first = jobs.module.once.delay("due", 60)
    again = jobs.module.once.apply_async(("due",), task_id="of-the-schedule", **{MAY_HAVE_ANOTHER_ID: True})
    assert again.id == first.id
    jobs.let_go("due")


def test_what_a_chain_waits_for_is_sent_and_waits_for_its_turn(jobs: Jobs, worker: Worker) -> None:
    first = jobs.module.once.delay("turn", 60)
    jobs.wait_until("began", "turn", 1)
    followed = chain(jobs.module.once.si("turn"), jobs.module.once.si("chained")).apply_async()
    assert followed.id != first.id
    wait_until(lambda: jobs.waits(followed.parent), what="the first of the chain waits")
    assert jobs.number("began", "turn") == 1
    jobs.let_go("turn")
    assert followed.get(timeout=60) == "chained"
    assert jobs.most("turn") == 1


def test_a_task_that_is_ended_at_its_time_limit_holds_nothing(jobs: Jobs, worker: Worker) -> None:
    jobs.module.short.delay("slow")
    jobs.wait_until("began", "slow", 1)
    first = jobs.limits.get(f"{_prefix(jobs)}unique:limited.short:slow")
    wait_until(lambda: jobs.module.short.delay("slow").id != first, seconds=14, what="it is free at once")
    jobs.let_go("slow")


def test_a_task_that_is_revoked_holds_nothing(jobs: Jobs, worker: Worker) -> None:
    first = jobs.module.once.delay("revoked", 60)
    jobs.wait_until("began", "revoked", 1)
    jobs.tasks.module("limited").once.app.control.revoke(first.id, terminate=True, signal="SIGKILL")
    wait_until(lambda: jobs.module.once.delay("revoked").id != first.id, seconds=14, what="it is free at once")
    jobs.let_go("revoked")


def test_a_task_that_has_expired_holds_nothing(jobs: Jobs, worker: Worker) -> None:
    first = jobs.module.once.apply_async(("old",), countdown=2, expires=0.5)
    assert jobs.module.once.delay("old").id == first.id
    wait_until(lambda: jobs.module.once.delay("old").id != first.id, what="it is free")


def test_a_process_that_is_killed_gives_its_place_to_the_next_at_once(jobs: Jobs, worker: Worker) -> None:
    for number in range(3):
        jobs.module.two.delay(number, "killed", 60)
    jobs.wait_until("began", "killed", 2)
    jobs.counts.decr("now:killed")
    os.kill(jobs.pids("killed")[0], signal.SIGKILL)
    jobs.wait_until("began", "killed", 3, seconds=14)
    jobs.let_go("killed")
    jobs.wait_until("ended", "killed", 3)
    assert jobs.most("killed") == 2


def test_a_worker_that_is_killed_gives_its_places_back(jobs: Jobs, worker: Worker) -> None:
    second = jobs.tasks.worker("-c 2 -n second@%h")
    for number in range(6):
        jobs.module.two.delay(number, "crash", 60)
    jobs.wait_until("began", "crash", 2)
    theirs = set(jobs.pids("crash")) & set(second.children)
    second.destroy()
    jobs.counts.decrby("now:crash", len(theirs))
    jobs.let_go("crash")
    jobs.module.two.delay(6, "after")
    jobs.wait_until("ended", "after", 1, seconds=60)
    assert jobs.most("crash") == 2


def test_limits_hold_when_redis_is_killed_and_all_run_when_it_is_back(
    jobs: Jobs, worker: Worker, server: Server
) -> None:
    sent = [jobs.module.two.delay(number, "gone", 60) for number in range(8)]
    first = jobs.module.once.delay("gone-once", 60)
    jobs.wait_until("began", "gone", 2)
    jobs.wait_until("began", "gone-once", 1)
    wait_until(lambda: sum(map(jobs.waits, sent)) == 6, what="the others wait")
    time.sleep(1.1)  # what redis has on disk after each second
    server.kill()
    with pytest.raises(ComponentUnavailableError):
        jobs.module.once.delay("gone-other")
    jobs.module.two.delay(8, "gone", 60)
    server.start()
    wait_until(lambda: _sends_again(jobs), what="redis is back")
    assert jobs.module.once.delay("gone-once").id == first.id
    assert jobs.number("began", "gone") == 2
    jobs.let_go("gone")
    jobs.let_go("gone-once")
    jobs.wait_until("ended", "gone", 9)
    assert jobs.most("gone") == 2


def test_running_tasks_are_counted_though_redis_has_lost_everything(jobs: Jobs, worker: Worker, server: Server) -> None:
    running = [jobs.module.two.delay(number, "lost", 200) for number in range(2)]
    jobs.wait_until("began", "lost", 2)
    for result in running:
        jobs.wait_until_renewed(result)  # so their worker knows what they hold
    server.kill()
    shutil.rmtree(server.data)
    server.data.mkdir()
    server.start()
    wait_until(lambda: _sends_again(jobs), what="redis is back")
    # Copies of what has waited in other tests come now as well, and wait with them.
    others = [jobs.module.two.delay(number + 2, "lost", 200) for number in range(2)]
    wait_until(lambda: all(map(jobs.waits, others)), what="the others wait")
    wait_until(lambda: jobs.limits.info("server")["uptime_in_seconds"] > 6, what="redis gives places again")
    assert jobs.number("began", "lost") == 2
    jobs.let_go("lost")
    jobs.wait_until("ended", "lost", 4)
    assert jobs.most("lost") == 2


def test_nothing_is_held_when_all_have_ended(jobs: Jobs, worker: Worker) -> None:
    for name in jobs.counts.keys("began:*"):
        jobs.let_go(name.partition(":")[2])
    jobs.wait_until_unlocked()


def _sends_again(jobs: Jobs) -> bool:
    try:
        jobs.module.once.delay(f"again-{time.time()}")
    except ComponentUnavailableError:
        return False
    return True


def _prefix(jobs: Jobs) -> str:
    return str(jobs.module.once.app.limit_store.prefix)

"""Redis behind Sentinel: malformed and huge messages, and masters that die or step down while tasks run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from tests import programs
from tests.attacks.place import Report, attacked_tasks, folder
from tests.serve.process import wait_until
from tests.tasks.sentinel import Group, sentinel_group

MALFORMED = [
    *(b"", b"no message", b"[" * 100_000, b"{", b"5", b"null", b"[]", b"\xff\xfe", b'{"a":1}', b"x" * 5_000_000),
    json.dumps({"body": "e30=", "headers": {}, "properties": {"delivery_tag": "a"}}).encode(),
    json.dumps({"body": {"a": 1}, "properties": {"delivery_info": {}, "delivery_tag": 5}}).encode(),
    b'{"body": "' + b"A" * 2_000_000 + b'", "content-encoding": "utf-8", "content-type": "application/json",'
    b' "headers": {"task": "jobs.double", "id": "huge"}, "properties": {"body_encoding": "base64",'
    b' "delivery_tag": "t", "delivery_info": {"exchange": "celery", "routing_key": "celery"}}}',
]


def main() -> None:
    """Attack it, and say what was found."""
    report = Report()
    with folder() as place, sentinel_group(place) as group, attacked_tasks(broker=group.url) as tasks:
        tasks.settings(CELERY_BROKER_TRANSPORT_OPTIONS={"master_name": "group"})
        worker = tasks.worker("-c 2")
        with tasks.sending():
            jobs = tasks.module("jobs")
            report.expect(sent(lambda: jobs.double.delay(1)).get(timeout=60) == 2, "no task runs")
            for name, change in (("dies", dies), ("steps down", steps_down), ("steps down again", steps_down)):
                put(group, *MALFORMED)
                running = [sent(lambda: jobs.slow.delay(6)) for _ in range(3)]
                time.sleep(2)
                change(group)
                put(group, *MALFORMED)
                report.expect(sent(lambda: jobs.double.delay(3)).get(timeout=120) == 6, f"{name}: none runs afterwards")
                for result in running:
                    report.expect(is_done(result), f"{name}: a task that ran is lost")
                expected = len(MALFORMED)
                report.expect(settles(lambda: letters(group) >= expected), f"{name}: {letters(group)} dead letters")  # noqa: B023
                report.expect(worker.process.poll() is None, f"{name}: the worker has ended")
                seen = tasks.start(programs.OPA, "tasks", "dead")
                report.expect(seen.wait() == 0, f"{name}: `opa tasks dead` fails: {seen.log[-500:]}")
        report.expect("Traceback" not in worker.log, "the log has a traceback")
        print(worker.log[-20000:])
        report.expect(worker.stop() == 0, "the worker does not stop")
    report.exit()


def master(group: Group) -> Redis:
    """The server that is the master."""
    host, port = group.asks("GET-MASTER-ADDR-BY-NAME", "group")
    return Redis(host=host.decode(), port=int(port))


def put(group: Group, *entries: bytes) -> None:
    """Add entries to the queue, whatever they are."""

    def is_put() -> bool:
        try:
            with master(group) as server:
                server.lpush("celery", *entries)
        except RedisError:
            return False
        return True

    wait_until(is_put)


def letters(group: Group) -> int:
    """How many dead letters there are."""
    with master(group) as server:
        return int(server.llen("opa.dead"))


def dies(group: Group) -> None:
    """The first server, which is the master, is killed, and comes back as a replica."""
    group.fail_over()
    group.master.start()
    with Redis(port=group.master.port) as old:
        wait_until(lambda: old.info("replication").get("master_link_status") == "up")


def steps_down(group: Group) -> None:
    """Sentinel makes the other one the master."""
    before = group.asks("GET-MASTER-ADDR-BY-NAME", "group")
    wait_until(lambda: group.asks("FAILOVER", "group") == b"OK")
    wait_until(lambda: group.asks("GET-MASTER-ADDR-BY-NAME", "group") != before)


def sent(send: Callable[[], Any]) -> Any:
    """Send a task, as soon as the broker takes one."""
    results: list[Any] = []

    def is_sent() -> bool:
        try:
            results.append(send())
        except OperationalError:
            return False
        return True

    wait_until(is_sent)
    return results[0]


def is_done(result: Any) -> bool:
    """Whether a task comes to its end."""
    try:
        result.get(timeout=120)
    except Exception as error:
        print(repr(error))
        return False
    return True


def settles(condition: Callable[[], bool]) -> bool:
    """Whether something becomes true in time."""
    try:
        wait_until(condition, seconds=30)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    main()

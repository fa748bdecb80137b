"""How messages get into a queue in redis and out of it: whoever is killed, none is lost, and nobody waits in vain."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from kombu import Consumer, Producer, Queue

from opa import get_plugin_manager
from opa.tasks.brokers.connection import Connection
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.redis_debts import Debts
from opa.tasks.brokers.redis_queues import BELL_SECONDS, TAKE, rest_of
from tests.servers import Server, redis_server, wait_until
from tests.tasks.workers import TaskProject

OF_ALL_KINDS = """
from opa import task


@task(unique="one", concurrency=2, rate="1000/s")
def limited():
    return "limited"


@task(bind=True)
def again(self):
    if not self.request.retries:
        raise self.retry(countdown=0)
    return "again"


@task(schedule="* * * * *")
def scheduled(): ...
"""
BELL = "jobs\x06\x16bell"
FOREVER = 0
"""The seconds for which an idle consumer waits for a bell: only a bell wakes it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port) as client:
        yield client
        client.flushall()


class Taker:
    """A consumer of queues, which notes the bodies that it gets and acknowledges nothing."""

    def __init__(self, url: str, queues: list[str], prefetch: int, wait: float, options: dict[str, Any]) -> None:
        self.got: list[Any] = []
        self.messages: list[Any] = []
        self.connection = cast("Any", Connection(url, transport_options={"delivery_limit": 5, **options}))
        self.channel = cast("Any", self.connection.default_channel)
        self.channel.brpop_timeout = wait
        self.channel.basic_qos(0, prefetch, False)
        self.consumer = Consumer(self.channel, [Queue(name) for name in queues], accept=["json"])
        self.consumer.register_callback(self._on_message)
        self.consumer.consume()

    def _on_message(self, body: Any, message: Any) -> None:
        self.got.append(body)
        self.messages.append(message)

    def take(self, count: int) -> list[Any]:
        """Read until so many are there."""

        def are_there() -> bool:
            self.read()
            return len(self.got) >= count

        wait_until(are_there, what=lambda: f"{count} messages; there are {self.got}")
        return self.got

    def read(self) -> None:
        try:
            self.connection.drain_events(timeout=0.01)
        except TimeoutError:
            return

    def rest(self, admin: redis.Redis) -> None:
        """Read until it waits for a bell."""

        def waits() -> bool:
            self.read()
            return any(self.address == each["addr"] and each["cmd"] == "brpop" for each in admin.client_list())

        wait_until(waits, what="the consumer is idle")

    def close(self) -> None:
        if self.connection.connected:
            if asks := self.channel.client.connection:
                asks.disconnect()  # it would wait for the bell
            self.connection.close()

    @property
    def address(self) -> str:
        host, port = self.channel.client.connection._sock.getsockname()
        return f"{host}:{port}"


@pytest.fixture
def taker(server: Server) -> Iterator[Callable[..., Taker]]:
    with ExitStack() as stack:

        def make(*queues: str, prefetch: int = 0, wait: float = 1, **options: Any) -> Taker:
            found = Taker(server.url, list(queues or ["jobs"]), prefetch, wait, options)
            stack.callback(found.close)
            return found

        yield make


def send_called(server: Server, place: str, *, priority: int = 0, **headers: Any) -> None:
    with Connection(server.url) as connection:
        headers = {"limit_ticket": place, **headers}
        Producer(connection).publish(place, routing_key="jobs", priority=priority, serializer="json", headers=headers)


def send(server: Server, *bodies: Any, queue: str = "jobs", priority: int = 0, **options: Any) -> None:
    with Connection(server.url, transport_options=options) as connection:
        producer = Producer(connection)
        for body in bodies:
            producer.publish(body, routing_key=queue, priority=priority, serializer="json")


def test_a_message_is_held_in_the_step_in_which_it_leaves_its_queue(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    admin.script_load(TAKE.text)
    send(server, 1, 2)
    message: Any = admin.lindex("jobs", -1)
    taker().connection.transport.cycle.on_poll_start()  # it asks, and reads no answer, as one who is killed
    wait_until(lambda: admin.hlen("unacked") == 1)
    assert admin.hvals("unacked") == [b"[" + message + b', "", "jobs"]']
    assert (admin.llen("jobs"), admin.zcard("unacked_index")) == (1, 1)


def test_an_answer_that_was_lost_is_given_once_more_and_no_second_message_is_taken(admin: redis.Redis) -> None:
    admin.lpush("jobs", "one", "two")
    keys, args = ["unacked_index", "unacked", BELL, "jobs"], ["tag", 1, rest_of("jobs")]
    assert TAKE.run(admin, keys, args) == [1, b"one"]
    assert TAKE.run(admin, keys, args) == [0, b'[one, "", "jobs"]']
    assert admin.lrange("jobs", 0, -1) == [b"two"]


def test_a_consumer_whose_connection_breaks_while_it_asks_gets_the_message_all_the_same(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    admin.script_load(TAKE.text)
    send(server, "first")
    one = taker()
    one.connection.transport.cycle.on_poll_start()
    wait_until(lambda: admin.hlen("unacked") == 1)
    one.channel.client.connection.disconnect()
    assert one.take(1) == ["first"]
    assert admin.hlen("unacked") == 1
    one.messages[0].ack()
    assert not admin.exists("unacked", "unacked_index")


def test_a_worker_that_connects_anew_gives_back_what_it_may_have_been_given(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    admin.script_load(TAKE.text)
    send(server, "first", "second")
    one, debts = taker(), Debts()
    one.connection.transport.cycle.on_poll_start()
    wait_until(lambda: admin.hlen("unacked") == 1)
    for _ in range(2):
        debts.take_over([one.channel])
    other = taker()
    debts.pay(other.channel)
    assert other.take(2) == ["first", "second"]
    assert (admin.hlen("unacked"), debts.held) == (2, [])


def test_messages_come_in_order_by_priority_and_from_each_queue_in_turn(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, *range(5))
    send(server, "later", priority=9)
    assert taker().take(6) == [0, 1, 2, 3, 4, "later"]
    for queue in ("a", "b"):
        send(server, *(f"{queue}{number}" for number in range(3)), queue=queue)
    got = taker("a", "b").take(6)
    assert [name[0] for name in got] in (["a", "b"] * 3, ["b", "a"] * 3)
    assert sorted(got, key=lambda name: name[1:]) == got


def test_limited_tasks_whose_turn_has_come_are_taken_first_and_in_the_order_of_their_turns(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, "other")
    for place in ("1700000000000002", "1700000000000009", "1700000000000001", "1700000000000005"):
        send_called(server, place)
    send_called(server, "1700000000000003", eta="2030-01-01T00:00:00")
    send(server, "x" * 100_000, priority=3)
    send_called(server, "1700000000000004", priority=3)
    called = ["1700000000000001", "1700000000000002", "1700000000000005", "1700000000000009"]
    assert taker().take(8) == [*called, "other", "1700000000000003", "1700000000000004", "x" * 100_000]
    assert admin.hlen("unacked") == 8


def test_one_whose_turn_has_come_is_put_before_what_is_no_message(server: Server, admin: redis.Redis) -> None:
    for item in ("[" * 5000, "no JSON", "[]", "{}", '{"headers": {"limit_ticket": {}}}', '{"headers": null}'):
        admin.rpush("jobs", item)
        send_called(server, "1")
        assert json.loads(cast("bytes", admin.rpop("jobs")))["headers"] == {"limit_ticket": "1"}
        assert admin.lindex("jobs", -1) == item.encode()


def test_a_consumer_takes_no_more_than_it_may_hold_and_the_next_as_soon_as_it_may(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, *range(4))
    one = taker(prefetch=2)
    one.take(2)
    for _ in range(5):
        one.read()
    assert (one.got, admin.llen("jobs")) == ([0, 1], 2)
    one.messages[0].ack()
    assert one.take(3) == [0, 1, 2]
    assert admin.llen("jobs") == 1


@pytest.mark.parametrize("prefix", ["", "project:"])
def test_an_idle_consumer_is_woken_by_each_message_that_comes_or_comes_back(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker], prefix: str
) -> None:
    one = taker(wait=FOREVER, global_keyprefix=prefix)
    for number in range(3):
        one.rest(admin)
        send(server, number, global_keyprefix=prefix)
        one.take(number + 1)
    one.rest(admin)
    one.messages[0].requeue()
    assert one.take(4) == [0, 1, 2, 0]
    one.rest(admin)
    other = taker("others", global_keyprefix=prefix)
    other.channel.qos.restore_by_tag(one.messages[1].delivery_tag)
    assert one.take(5)[4] == 1


def test_two_idle_consumers_share_two_messages_of_a_single_bell(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    both = [taker(wait=FOREVER, prefetch=1) for _ in range(2)]
    for one in both:
        one.rest(admin)
    send(server, 0, 1, queue="aside")
    admin.rename("aside", "jobs")
    admin.rpush(BELL, 1)

    def have_one_each() -> bool:
        for one in both:
            one.read()
        return all(one.got for one in both)

    wait_until(have_one_each)
    assert sorted(one.got[0] for one in both) == [0, 1]


def test_a_message_of_a_sender_that_rings_no_bell_is_found(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    one = taker()
    one.rest(admin)
    send(server, "old", queue="aside")
    admin.rename("aside", "jobs")
    assert one.take(1) == ["old"]


def test_a_queue_has_one_bell_at_most_and_it_does_not_stay(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, *range(5))
    assert admin.llen(BELL) == 1
    assert 0 < admin.ttl(BELL) <= BELL_SECONDS
    one = taker()
    one.take(5)
    one.rest(admin)
    assert not admin.exists(BELL)


def test_an_idle_consumer_puts_a_bell_right_that_was_overwritten(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    admin.set(BELL, "another program's")
    one = taker(wait=FOREVER)
    one.rest(admin)
    send(server, "heard")
    assert one.take(1) == ["heard"]


def test_the_bell_of_a_queue_that_expires_does_so_as_well(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    one = taker(wait=FOREVER)
    one.rest(admin)
    with Connection(server.url) as connection:
        Queue("jobs", expires=600).bind(connection.default_channel).declare()
        for number in range(2):
            Producer(connection).publish(number, routing_key="jobs", serializer="json")
    assert one.take(2) == [0, 1]
    with Connection(server.url) as connection:
        Queue("others", expires=600).bind(connection.default_channel).declare()
        Producer(connection).publish(1, routing_key="others", serializer="json")
    assert all(admin.ttl(key) > 0 for key in admin.keys("others*"))
    assert len(admin.keys("others*")) == 2


def test_a_bell_that_a_consumer_hears_as_it_closes_wakes_another(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    leaving, staying = taker(wait=FOREVER), taker(wait=FOREVER)
    leaving.rest(admin)
    staying.rest(admin)
    send(server, "for the one who stays")  # it rings for the one who waits longest
    wait_until(lambda: not admin.exists(BELL))
    leaving.connection.close()
    assert staying.take(1) == ["for the one who stays"]


def test_what_is_never_acknowledged_is_not_held(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, "reply", queue="replies")
    one = taker()
    one.consumer.cancel()
    consumer = Consumer(one.channel, [Queue("replies")], no_ack=True, accept=["json"])
    consumer.register_callback(one._on_message)
    held: list[Any] = []
    consumer.register_callback(lambda *_: held.append(admin.exists("unacked", "unacked_index")))
    consumer.consume()
    assert one.take(1) == ["reply"]
    assert held == [0]


def test_what_redis_cannot_note_stays_in_its_queue(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, *range(3))
    admin.set("unacked_index", "another program's")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        taker().take(1)
    assert (admin.llen("jobs"), admin.exists("unacked")) == (3, 0)
    admin.delete("unacked_index")
    assert taker().take(3) == [0, 1, 2]


@pytest.mark.parametrize("key", ["jobs", "jobs\x06\x163", "unacked"])
def test_a_key_that_was_overwritten_is_named(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker], key: str
) -> None:
    consumer = taker()
    admin.set(key, "something else")
    with pytest.raises(redis.ResponseError, match=rf"^WRONGTYPE .*\(key {key}\)"):
        consumer.take(1)
    if key == "jobs":
        with pytest.raises(redis.ResponseError, match=r"^WRONGTYPE .*\(key jobs\)"):
            send(server, 1)


def test_messages_are_taken_from_a_redis_whose_memory_is_full(
    server: Server, admin: redis.Redis, taker: Callable[..., Taker]
) -> None:
    send(server, *range(3))
    one = taker()
    admin.config_set("maxmemory", 1)
    try:
        assert one.take(3) == [0, 1, 2]
        assert admin.hlen("unacked") == 3
    finally:
        admin.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    "entry", [b"not JSON", b"", b"\xff", b"5", b"[" * 5000, b'{}, "", "other"], [1', b'"', b'1, "x", "y", [2']
)
def test_what_is_no_message_and_whose_worker_was_killed_is_kept_as_it_was(
    admin: redis.Redis, taker: Callable[..., Taker], entry: bytes
) -> None:
    admin.lpush("jobs", entry)
    TAKE.run(admin, ["unacked_index", "unacked", BELL, "jobs"], ["tag", 1, rest_of("jobs")])
    taker("other").channel.qos.restore_by_tag("tag")
    (letter,) = map(json.loads, admin.lrange(DEAD_LETTER_QUEUE, 0, -1))
    assert letter["headers"]["x-opa-death"]["queue"] == "jobs"
    assert base64.b64decode(letter["body"]) == entry
    assert not admin.exists("unacked", "unacked_index", "other", "jobs")


class Tap:
    """What stands between a worker and its redis, and kills the worker instead of giving it an answer with `mark`."""

    def __init__(self, port: int, mark: bytes) -> None:
        self.port = port
        self.mark = mark
        self.kill: Callable[[], None] | None = None
        self.has_killed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, are_answers: bool) -> None:
        with source, target:
            while True:
                try:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if are_answers and self.mark in data and self.kill is not None:
                        self.kill()
                        self.has_killed.set()
                        return
                    target.sendall(data)
                except OSError:
                    return


@contextmanager
def tap(url: str, mark: bytes) -> Iterator[Tap]:
    found = Tap(int(url.split(":")[2].split("/")[0]), mark)
    try:
        yield found
    finally:
        found.close()


def test_a_task_whose_worker_is_killed_in_the_moment_in_which_it_takes_it_runs_in_another(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", "from opa import task\n\n\n@task\ndef job(name):\n    return name\n")
    # Redelivery is looked for every 10 s, and not only every tenth time.
    tasks.settings(TASK_VISIBILITY_TIMEOUT=3, CELERY_TASK_SOFT_TIME_LIMIT=1, CELERY_TASK_TIME_LIMIT=2)
    tasks.component(BROKER_TRANSPORT_OPTIONS={"unacked_restore_throttle": 1, "unacked_restore_interval": 1})
    with tap(tasks.broker, b"in-this-moment") as between:
        broker = {"OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": f"{between.url}/1"}
        worker = tasks.worker(**broker)
        between.kill = worker.process.kill
        with tasks.sending():
            result = tasks.module("jobs").job.apply_async(["done"], task_id="in-this-moment")
            assert between.has_killed.wait(60)
            worker.process.wait()
            tasks.worker()
            assert result.get(timeout=60) == "done"


def test_the_rights_that_the_documentation_names_are_enough(tasks: TaskProject) -> None:
    text = (Path(__file__).parents[4] / "docs" / "reliability.md").read_text()
    (line,) = re.findall(r"^ACL SETUSER shop on .*$", text, re.MULTILINE)
    port = int(tasks.broker.split(":")[2].split("/")[0])
    with redis.Redis(port=port) as server:
        server.execute_command(line)
        address = f"redis://shop:a-password@127.0.0.1:{port}"
        tasks.broker, tasks.backend = f"{address}/1", f"{address}/2"
        tasks.component()
        tasks.project.component("AIOREDIS", "redis-aioredis", URL=f"{address}/3")
        tasks.settings(RUNS=True)
        tasks.plugin("jobs.py", OF_ALL_KINDS)
        beat = tasks.start(MODE="beat")
        worker = tasks.worker()
        with tasks.sending():
            jobs = tasks.module("jobs")
            assert jobs.limited.delay().get(timeout=60) == "limited"
            assert jobs.again.delay().get(timeout=60) == "again"
            assert get_plugin_manager().celery.control.ping(timeout=10, limit=1)
            wait_until(lambda: beat.is_ready, what=lambda: beat.log)
        assert [each["object"] for each in server.acl_log()] == []
        server.execute_command("ACL SETUSER shop -evalsha")
        worker.wait_until_says("the 'evalsha' command); docs/reliability.md has the rights")

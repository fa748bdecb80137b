"""The private names of kombu that are used are there, with the shapes that are relied on."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from kombu import Connection
from kombu.transport import redis, virtual
from redis import ConnectionPool
from redis.exceptions import NoScriptError, ResponseError

from opa._compat import kombu as compat
from tests._compat.shapes import parameters, source_names

Channel: Any = redis.Channel  # celery-types lacks what is private
QoS: Any = redis.QoS


@pytest.fixture
def qos() -> compat.QoS:
    """What a channel has taken, without a server."""
    return compat.QoS(
        SimpleNamespace(qos=None, connection=None, unacked_key="held", unacked_index_key="times", do_restore=False)
    )


def test_a_pool_tells_how_many_connections_are_in_use_and_idle() -> None:
    pool = Connection("memory://").Pool(limit=3)
    assert compat.pool_counts(pool) == (0, 0), "none was made yet"
    first, second = pool.acquire(), pool.acquire()
    assert compat.pool_counts(pool) == (2, 0)
    first.release()
    assert compat.pool_counts(pool) == (1, 1)
    second.release()
    assert compat.pool_counts(pool) == (0, 2)
    pool.force_close_all()


def test_qos_knows_what_it_holds_and_what_was_acknowledged(qos: compat.QoS) -> None:
    assert isinstance(qos._delivered, OrderedDict)
    virtual.QoS.append(qos, "a", "1")
    virtual.QoS.append(qos, "b", "2")
    virtual.QoS.ack(qos, "1")
    assert [qos.holds("1"), qos.holds("2"), qos.holds("3")] == [True, True, False]
    assert qos.let_all_go() == ["2"]
    assert not qos.holds("2")


def test_commands_that_take_a_message_out_of_delivery_go_to_the_pipe(qos: compat.QoS) -> None:
    asked: list[tuple[str, str, str]] = []

    class Pipe:
        def zrem(self, key: str, tag: str) -> Pipe:
            asked.append(("zrem", key, tag))
            return self

        def hdel(self, key: str, tag: str) -> Pipe:
            asked.append(("hdel", key, tag))
            return self

    pipe = Pipe()
    assert qos.drop_note("1", pipe) is pipe
    assert asked == [("zrem", "times", "1"), ("hdel", "held", "1")]


def test_message_keeps_what_stood_in_its_queue() -> None:
    payload: Any = {"body": "", "properties": {"delivery_tag": "1", "delivery_info": {}}, "headers": {}}
    channel: Any = SimpleNamespace(decode_body=lambda *_: b"")
    assert compat.Message(payload, channel=channel).raw is payload


def test_channel_makes_its_qos_when_it_is_first_asked_for() -> None:
    assert source_names(Channel, "_qos = None")
    assert "self._qos = self.QoS(self)" in inspect.getsource(virtual.Channel)


def test_channel_calls_what_is_overridden_when_redis_answers() -> None:
    init = inspect.getsource(Channel.__init__)
    assert "'BRPOP': self._brpop_read" in init
    assert "self._receive_one(" in inspect.getsource(Channel._receive)
    assert "self._create_client(" in inspect.getsource(Channel)
    assert "self._get_pool(" in inspect.getsource(Channel)
    assert parameters(Channel._receive_one) == ["c"]


def test_channel_is_asked_for_messages_and_reads_them_by_what_is_overridden() -> None:
    poller: Any = redis.MultiChannelPoller
    assert "if not channel._in_poll:  # send BRPOP\n            channel._brpop_start()" in inspect.getsource(
        poller._register_BRPOP
    )
    assert "chan.handlers[type]()" in inspect.getsource(poller.on_readable)
    assert "self._brpop_read()" in inspect.getsource(Channel.close)
    start, read = inspect.getsource(Channel._brpop_start), inspect.getsource(Channel._brpop_read)
    for line in (
        "self._queue_cycle.consume(len(self.active_queues))",
        "for pri in self.priority_steps",
        "self._in_poll = self.client.connection",
        "self._brpop_sent_at = monotonic()",
        "self.client.connection.send_command(*command_args)",
    ):
        assert line in start
    for line in (
        "self.client.connection.disconnect()",
        "self._queue_cycle.rotate(dest)",
        "self.connection._deliver(loads(bytes_to_str(item)), dest)",
        "self._in_poll = None",
        "self._flush_brpop_reauth()",
    ):
        assert line in read
    assert Channel._closing is False
    assert "self._expires[queue] = expire" in inspect.getsource(Channel._new_queue)


def test_keys_of_queues_are_in_the_order_in_which_kombu_looks_at_them() -> None:
    channel = object.__new__(compat.Channel)
    channel.__dict__.update(priority_steps=[0, 3], _q_for_pri=lambda queue, step: f"{queue}{step}")
    assert channel.keys_of(["a", "b"]) == ["a0", "b0", "a3", "b3"]


def test_a_message_of_a_batch_rings_with_the_batch() -> None:
    added: list[Any] = []
    batch = SimpleNamespace(add=lambda *command: added.append(command))
    channel = object.__new__(compat.Channel)
    channel.__dict__.update(_expires={}, priority_steps=[0], _get_message_priority=lambda *_, **__: 0)
    channel.__dict__["ring"] = lambda queue, add: add("ring", queue)
    channel._put("jobs", {}, _publish_batch=batch)
    assert added == [("lpush", "jobs", "{}"), ("ring", "jobs")]


def test_an_unknown_script_leaves_the_connection_as_it_is_and_other_errors_close_it() -> None:
    closed: list[str] = []
    errors: list[Exception] = [NoScriptError(), ResponseError()]

    def parse_response(*_: Any) -> None:
        raise errors.pop(0)

    connection = SimpleNamespace(disconnect=lambda: closed.append("closed"))
    channel = object.__new__(compat.Channel)
    channel.__dict__.update(
        client=SimpleNamespace(connection=connection, parse_response=parse_response),
        connection_errors=(ResponseError,),
        _flush_brpop_reauth=lambda: None,
    )
    for count, error in enumerate((NoScriptError, ResponseError)):
        channel._in_poll = connection
        with pytest.raises(error):
            channel.read_polled("EVALSHA")
        assert len(closed) == count
        assert channel._in_poll is None


def test_every_message_that_comes_back_passes_the_method_that_is_overridden() -> None:
    restoring: list[Any] = [QoS.restore_by_tag, Channel._restore, Channel._restore_at_beginning]
    ways = "".join(map(inspect.getsource, restoring))
    assert "_do_restore_message(" in ways
    assert parameters(Channel._do_restore_message) == ["payload", "exchange", "routing_key", "pipe", "leftmost"]


def test_queues_of_an_exchange_are_looked_up() -> None:
    assert parameters(Channel._lookup)[:2] == ["exchange", "routing_key"]


def test_key_of_a_message_names_its_queue_and_its_priority() -> None:
    channel = SimpleNamespace(
        priority_steps=[0, 3, 6, 9],
        sep=":",
        min_priority=0,
        max_priority=9,
        default_priority=0,
        priority=lambda number: number,
    )
    channel._get_message_priority = lambda message, reverse: Channel._get_message_priority(channel, message, reverse)
    channel._q_for_pri = lambda queue, number: Channel._q_for_pri(channel, queue, number)
    assert compat.key_of(channel, "jobs", {"properties": {}}) == "jobs"
    assert compat.key_of(channel, "jobs", {"properties": {"priority": 3}}) == "jobs:3"


def test_a_child_process_does_not_wait_for_the_lock_of_a_pool_that_a_thread_of_its_parent_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kombu has each channel disconnect in a child; metrics ask for lengths of queues while a worker forks."""
    assert "_disconnect_pools" in inspect.getsource(Channel._after_fork)
    assert all(name in inspect.getsource(Channel._disconnect_pools) for name in ("self._pool", "self._async_pool"))
    disconnected: list[Any] = []
    monkeypatch.setattr(Channel, "_after_fork", lambda channel: disconnected.append(channel._async_pool))
    channel = object.__new__(compat.Channel)
    locked, free = ConnectionPool(), ConnectionPool()
    channel.__dict__.update(_pool=locked, _async_pool=free)
    done = threading.Event()

    def in_child() -> None:
        channel._after_fork()
        done.set()

    with locked._lock:
        threading.Thread(target=in_child, daemon=True).start()
        assert done.wait(60)
    assert channel._pool is None
    assert disconnected == [free]

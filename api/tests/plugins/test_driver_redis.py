from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
import walrus

from opa import get_component, get_instance
from opa.errors import ComponentError
from opa.local.servers import free_port
from opa.plugins.driver_redis import Aioredis, Walrus
from opa.redis_clients.states import SERVER_STATES, AsyncStateParser, StateParser
from tests.project import Project
from tests.servers import Server, redis_server, wait_until

DRIVERS = {"aioredis": "redis-aioredis", "walrus": "redis-walrus"}

COUNTER = """
from opa import get_instance, get_router

router = get_router()

@router.get("/aioredis")
async def count_async(key: str = "n"):
    return await get_instance("aioredis").incr(key)

@router.get("/walrus")
def count_sync(key: str = "n"):
    return get_instance("walrus").incr(key)

@router.get("/aioredis/wait")
async def wait_async(key: str, seconds: float):
    return await get_instance("aioredis").blpop(key, seconds)

@router.get("/walrus/wait")
def wait_sync(key: str, seconds: float):
    return get_instance("walrus").blpop(key, seconds)
"""


@pytest.fixture
def counter(project: Project) -> Project:
    project.plugin("counter.py", COUNTER)
    return project


def connect(project: Project, url: str, **opts: Any) -> None:
    for name, driver in DRIVERS.items():
        project.component(name.upper(), driver, URL=url, **opts)


def refusal(project: Project, driver: str, **opts: Any) -> str:
    """Why the application does not start with these options."""
    project.component("THING", driver, **opts)
    with pytest.raises(ComponentError) as caught, project.client():
        pass
    return str(caught.value)


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.docker)])
def database(request: pytest.FixtureRequest) -> Iterator[walrus.Database]:
    """What the driver `redis-walrus` gives, with the Valkey of `opa up` and with the Redis of the compose file."""
    if request.param == "valkey":
        url = request.getfixturevalue("redis_url")
    else:
        request.getfixturevalue("docker")
        url = request.getfixturevalue("redis_in_docker")
    driver = Walrus({"URL": url, "SOCKET_TIMEOUT": 0.3})
    driver.connect()
    wait_until(lambda: answers(driver))
    yield driver.get_instance()
    driver.disconnect()


def answers(driver: Walrus) -> bool:
    try:
        driver.validate()
    except driver.connection_errors:
        return False
    return True


@pytest.fixture(scope="module")
def redis_in_docker() -> Iterator[str]:
    run = ["docker", "run", "--detach", "--rm", "--publish", "127.0.0.1::6379", "redis:8"]
    container = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    try:
        port = subprocess.run(["docker", "port", container, "6379"], check=True, capture_output=True, text=True)
        yield f"redis://{port.stdout.strip()}"
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)


def test_a_route_has_the_client_of_the_library(counter: Project, redis_url: str) -> None:
    connect(counter, redis_url)
    with counter.client():
        assert isinstance(get_instance("walrus"), walrus.Database)
        assert isinstance(get_instance("aioredis"), redis.asyncio.Redis)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_route_counts_in_redis_with_each_driver(counter: Project, redis_url: str, name: str) -> None:
    connect(counter, redis_url)
    with counter.client() as client:
        assert [client.get(f"/{name}?key=counts-{name}").json() for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("name", DRIVERS)
def test_while_the_server_is_gone_a_route_answers_503_and_then_works_again(
    counter: Project, start_redis: Callable[[], Server], name: str
) -> None:
    server = start_redis()
    connect(counter, server.url)
    with counter.client() as client:
        assert client.get(f"/{name}").status_code == 200
        server.kill()
        assert client.get(f"/{name}").status_code == 503
        server.start()
        wait_until(lambda: client.get(f"/{name}").status_code == 200, seconds=10)


class Forgetful:
    """Stands between a client and a server, and forgets connections as a firewall does, or a machine that starts again.

    The client does not hear of it; what it sends then is answered by a reset.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._forgotten: set[socket.socket] = set()
        self._start(self._accept)

    def forget(self) -> None:
        self._forgotten.update(self._sockets)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in tuple(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads):
            thread.join()
        for one in self._sockets:
            one.close()

    def _start(self, target: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=target, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server))
                self._sockets += [client, server]
                self._start(self._copy, client, server)
                self._start(self._copy, server, client)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                if source in self._forgotten:
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    source.close()
                    return
                target.sendall(content)
            if source not in self._forgotten:
                target.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_connection_that_died_while_it_rested_costs_no_request(
    counter: Project, start_redis: Callable[[], Server], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Forgetful(start_redis().port)
    try:
        connect(counter, between.url)
        with counter.client() as client:
            monkeypatch.setattr(sys.modules["opa.plugins.driver_redis.clients"], "IDLE_CHECK_AFTER", 0)
            assert client.get(f"/{name}").json() == 1
            between.forget()
            assert client.get(f"/{name}").json() == 2
    finally:
        between.close()


@pytest.mark.parametrize("name", DRIVERS)
def test_requests_wait_for_a_connection_where_all_are_in_use(counter: Project, redis_url: str, name: str) -> None:
    connect(counter, redis_url, MAX_CONNECTIONS=2)
    with counter.client() as client, ThreadPoolExecutor(20) as threads:
        answers = threads.map(lambda _: client.get(f"/{name}/wait?key=nobody-{name}&seconds=0.1"), range(20))
        assert [answer.status_code for answer in answers] == [200] * 20


@pytest.mark.parametrize("name", DRIVERS)
def test_a_server_that_hangs_costs_a_request_no_more_than_the_time_limit(
    counter: Project, start_redis: Callable[[], Server], name: str
) -> None:
    server = start_redis()
    connect(counter, server.url, SOCKET_TIMEOUT=0.5)
    with counter.client() as client:
        server.hang()
        before = time.monotonic()
        assert client.get(f"/{name}").status_code == 503
        assert time.monotonic() - before < 3
        server.kill()


@pytest.mark.parametrize("name", DRIVERS)
def test_requests_that_wait_are_let_go_once_it_is_known_that_the_server_hangs(
    counter: Project, start_redis: Callable[[], Server], name: str
) -> None:
    server = start_redis()
    connect(counter, server.url, SOCKET_TIMEOUT=60, MAX_CONNECTIONS=3, TIMEOUT=60)
    with counter.client() as client, ThreadPoolExecutor(5) as threads:
        assert client.get(f"/{name}").status_code == 200
        server.hang()
        try:
            waiting = [threads.submit(client.get, f"/{name}") for _ in range(5)]  # two of them for a connection
            time.sleep(0.5)
            get_component(name).breaker.suspect()
            assert [request.result(30).status_code for request in waiting] == [503] * 5
            assert client.get(f"/{name}").status_code == 503
        finally:
            server.go_on()
        wait_until(lambda: client.get(f"/{name}").status_code == 200, seconds=20)


@pytest.mark.parametrize("name", DRIVERS)
def test_a_server_that_is_known_to_be_gone_gets_no_connection_for_a_request(
    counter: Project, start_redis: Callable[[], Server], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_redis()
    connect(counter, server.url)
    with counter.client() as client:
        assert client.get(f"/{name}").status_code == 200
        server.kill()
        assert client.get(f"/{name}").status_code == 503
        component = get_component(name)
        wait_until(lambda: component.breaker.is_open, seconds=10)
        connected: list[object] = []

        def refuse(*connection: object) -> None:
            connected.extend(connection)
            raise redis.ConnectionError("nobody is there")

        monkeypatch.setattr(component.breaker, "_probe", refuse)
        for kind in (redis.Connection, redis.asyncio.Connection):
            monkeypatch.setattr(kind, "_connect", refuse)
        assert client.get(f"/{name}").json() == {"detail": f"component '{name}' does not answer"}
        assert connected == []


@pytest.mark.parametrize("name", DRIVERS)
def test_one_connection_that_is_lost_does_not_make_the_server_gone(counter: Project, redis_url: str, name: str) -> None:
    connect(counter, redis_url)
    with counter.client() as client, redis.Redis.from_url(redis_url) as other:
        assert client.get(f"/{name}").status_code == 200
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.get, f"/{name}/wait?key=nobody-loses-{name}&seconds=20")
            wait_until(lambda: any(each["cmd"] == "blpop" for each in other.client_list()), seconds=10)
            for each in other.client_list():
                if each["cmd"] == "blpop":
                    other.client_kill_filter(_id=each["id"])
            assert waiting.result(20).status_code == 503
        component = get_component(name)
        wait_until(lambda: not component.breaker.is_asking, seconds=10)
        assert client.get(f"/{name}").status_code == 200


@pytest.mark.parametrize("name", DRIVERS)
def test_a_blocking_command_waits_for_longer_than_the_time_limit(counter: Project, redis_url: str, name: str) -> None:
    connect(counter, redis_url, SOCKET_TIMEOUT=0.3)
    with counter.client() as client, redis.Redis.from_url(redis_url) as other:
        assert client.get(f"/{name}/wait?key=never-{name}&seconds=1").json() is None
        timer = threading.Timer(1, other.rpush, [f"soon-{name}", "here"])
        timer.start()
        assert client.get(f"/{name}/wait?key=soon-{name}&seconds=0").json() == [f"soon-{name}", "here"]
        timer.join()


def test_a_stream_can_be_waited_for(database: walrus.Database) -> None:
    stream = database.Stream("stream")
    stream.add({"n": 1})
    assert [fields for _, fields in stream.read(last_id="0")] == [{b"n": b"1"}]
    assert stream.read(block=600, last_id="$") == []


def test_the_bloom_filter_of_walrus_works(database: walrus.Database) -> None:
    bloom = database.bloom_filter("bloom")
    bloom.add("seen")
    assert "seen" in bloom
    assert "not seen" not in bloom


def test_the_lock_of_walrus_waits_for_its_holder(database: walrus.Database) -> None:
    held, wanted = database.lock("lock", ttl=5000), database.lock("lock", ttl=5000)
    assert held.acquire()
    assert not wanted.acquire(block=False)
    timer = threading.Timer(1, held.release)
    timer.start()
    assert wanted.acquire()
    wanted.release()
    timer.join()


@pytest.mark.parametrize("driver", DRIVERS.values())
def test_a_wrong_password_is_said_at_once_and_not_shown(
    project: Project, start_redis: Callable[[], Server], driver: str
) -> None:
    server = start_redis()
    with redis.Redis.from_url(server.url) as admin:
        admin.config_set("requirepass", "right")
    text = refusal(project, driver, URL=server.url.replace("//", "//:hunter2@"))
    assert "AuthenticationError" in text
    assert "hunter2" not in text
    assert "tries" not in text


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize("in_url", ["", "other:", ":other"], ids=["none", "user", "password"])
def test_the_option_password_is_the_password_of_the_server_as_it_is_written(
    counter: Project, start_redis: Callable[[], Server], name: str, in_url: str
) -> None:
    server, password = start_redis(), "p@ss/w%40:rd#"
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "other", "on", f">{password}", "~*", "+@all")
        admin.config_set("requirepass", password)
    connect(counter, server.url.replace("//", f"//{in_url}@") if in_url else server.url, PASSWORD=password)
    with counter.client() as client:
        assert client.get(f"/{name}").json() == 1


@pytest.mark.parametrize("driver", [Aioredis, Walrus])
def test_an_empty_option_password_leaves_that_of_the_url(driver: type[Aioredis | Walrus]) -> None:
    client = driver({"URL": "redis://:inside@127.0.0.1", "PASSWORD": ""}).new_client()
    assert client.connection_pool.connection_kwargs["password"] == "inside"


@pytest.mark.parametrize("driver", DRIVERS.values())
@pytest.mark.parametrize(
    ("opts", "said"),
    [
        ({"URL": "http://u:hunter2@127.0.0.1"}, "it starts with redis://"),
        ({"URL": "redis://u:hunter2/x@127.0.0.1"}, "percent-encoded"),
        ({"URL": "redis://:hunter2@127.0.0.1:1/?socket_timeout=soon"}, "parameters"),
        ({"URL": "redis://:hunter2@127.0.0.1:1", "SOCKET_TIMEOUTS": 1}, "'socket_timeouts'"),
        ({"URL": "redis://:hunter2@127.0.0.1:1", "SOCKET_TIMEOUT": "hunter2"}, "option SOCKET_TIMEOUT"),
        ({}, "OPTS has no URL"),
    ],
)
def test_an_option_that_is_of_no_use_is_named_and_its_value_is_not(
    project: Project, driver: str, opts: dict[str, object], said: str
) -> None:
    text = refusal(project, driver, **opts)
    assert said in text
    assert "'thing'" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("driver", [Aioredis, Walrus])
def test_a_parameter_in_the_url_wins_over_opts_and_opts_win_over_the_defaults(driver: type[Aioredis | Walrus]) -> None:
    client = driver({"URL": "redis://127.0.0.1?socket_timeout=7", "SOCKET_TIMEOUT": 8, "socket_connect_timeout": 9})
    options = client.new_client().connection_pool.connection_kwargs
    assert options["socket_timeout"] == 7
    assert options["socket_connect_timeout"] == 9
    by_default = driver({"URL": "redis://127.0.0.1"}).new_client().connection_pool.connection_kwargs
    assert (by_default["socket_connect_timeout"], by_default["socket_timeout"]) == (3, 3)


def test_stopping_closes_every_connection(counter: Project, start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    connect(counter, server.url)
    with redis.Redis.from_url(server.url) as other:
        with counter.client() as client:
            client.get("/aioredis")
            client.get("/walrus")
            assert len(other.client_list()) >= 3
        wait_until(lambda: len(other.client_list()) == 1)


STATES = {
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "NOREPLICAS": (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
}


def test_while_the_server_cannot_write_a_route_answers_503_and_then_works_again(
    counter: Project, start_redis: Callable[[], Server]
) -> None:
    server = start_redis()
    connect(counter, server.url)
    with counter.client(raise_server_exceptions=False) as client, redis.Redis.from_url(server.url) as admin:
        for begin, end in STATES.values():
            admin.execute_command(*begin)
            assert [client.get(f"/{name}").status_code for name in DRIVERS] == [503, 503], begin
            admin.execute_command(*end)
            assert [client.get(f"/{name}").status_code for name in DRIVERS] == [200, 200], end
        admin.set("text", "no number")
        assert [client.get(f"/{name}?key=text").status_code for name in DRIVERS] == [500, 500], (
            "it is the plugin's error"
        )


def test_while_a_cluster_is_not_whole_a_route_answers_503(
    counter: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    server = redis_server(tmp_path_factory.mktemp("cluster"))
    # By default the bus of a cluster has the port + 10,000, which is too high for some free ports.
    server.begin("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        connect(counter, server.url)
        with redis.Redis.from_url(server.url) as admin:
            wait_until(lambda: is_there(admin))
            with counter.client(raise_server_exceptions=False) as client:
                assert [client.get(f"/{name}").status_code for name in DRIVERS] == [503, 503]
                admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
                wait_until(lambda: [client.get(f"/{name}").status_code for name in DRIVERS] == [200, 200])
    finally:
        server.stop()


def is_there(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_errors_of_a_servers_state_are_told_apart_and_keep_their_text() -> None:
    for parser in (StateParser, AsyncStateParser):
        for code in ("MISCONF", "NOREPLICAS", "UNBLOCKED", "BUSY"):
            error = parser.parse_error(f"{code} it cannot")
            assert isinstance(error, SERVER_STATES)
            assert isinstance(error, redis.ResponseError)
            assert str(error) == f"{code} it cannot"
        assert not isinstance(parser.parse_error("BUSYGROUP there is one"), SERVER_STATES)
        assert not isinstance(parser.parse_error("ERR syntax error"), SERVER_STATES)

"""Failures become messages that arrive, whatever redis and the targets do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from opa import log
from opa.core.manager import PluginManager
from opa.http.webhooks import posting
from opa.plugins.notify import courier as couriers
from opa.plugins.notify import mail
from opa.plugins.notify.courier import Courier, Target
from opa.plugins.notify.notice import Notice
from tests.plugins.notify.targets import Mailbox, Webhook
from tests.project import Project
from tests.servers import Server, wait_until


def notice(task: str = "jobs.fails", **changes: Any) -> Notice:
    now = time.time()
    return Notice(**{**vars(Notice("failed", task, "jobs", "", now, now, "1", "ValueError: no", "")), **changes})


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as made:
        yield made


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = log.add(lambda line: lines.append(str(line)), level="INFO", format="{message}")
    yield lines
    log.remove(sink)


class Office:
    """Couriers of one project, as those of several processes."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(couriers, "GATHER_SECONDS", 0.01)
        monkeypatch.setattr(couriers, "POLL_INTERVAL", 0.2)
        monkeypatch.setattr(couriers, "PAUSES", (0.1, 0.1))
        self.project = project
        project.settings(PROJECT_ID=uuid4().hex, PROJECT_NAME="Shop")
        self.couriers: list[Courier] = []
        self._manager: PluginManager | None = None

    def targets(self, **targets: dict[str, Any]) -> None:
        self.project.settings(NOTIFY={name: {"TYPE": "json", "WINDOW": 1, **each} for name, each in targets.items()})
        self._manager = self.project.prepare()

    def courier(self, *, stays: bool = False) -> Courier:
        assert self._manager is not None
        targets = [Target(name, each) for name, each in self._manager.config.NOTIFY.items()]
        made = Courier(self._manager, targets, stays=stays)
        self.couriers.append(made)
        return made

    def close(self) -> None:
        for each in self.couriers:
            each.stop(5)


@pytest.fixture
def office(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    made = Office(project, monkeypatch)
    yield made
    made.close()


@pytest.fixture
def with_redis(office: Office, redis_url: str) -> Office:
    office.project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    return office


def counts(hook: Webhook) -> list[int]:
    return [sum(each["count"] for each in posted["failures"]) + posted["more"] for posted in hook.posted]


def test_failures_of_several_processes_are_one_message(with_redis: Office, hook: Webhook) -> None:
    with_redis.targets(ops={"URL": hook.url})
    for courier in [with_redis.courier() for _ in range(3)]:
        for number in range(300):
            courier.put(notice(f"jobs.n{number % 3}"))
    wait_until(lambda: counts(hook) == [900])
    assert {each["task"] for each in hook.posted[0]["failures"]} == {"jobs.n0", "jobs.n1", "jobs.n2"}


def test_what_a_process_has_collected_that_is_gone_another_one_sends(with_redis: Office, hook: Webhook) -> None:
    with_redis.targets(ops={"URL": hook.url, "WINDOW": 2})
    first = with_redis.courier()
    first.put(notice()).result(30)
    first.stop(10)
    assert hook.posted == []
    with_redis.courier(stays=True).start()
    wait_until(lambda: counts(hook) == [1])


@pytest.mark.parametrize("redis", ["without", "away"])
def test_without_redis_each_process_sends_by_itself_and_also_at_its_end(
    office: Office, hook: Webhook, said: list[str], redis: str
) -> None:
    if redis == "away":
        office.project.component("AIOREDIS", "redis-aioredis", URL="redis://127.0.0.1:1/0")
    office.targets(ops={"URL": hook.url, "WINDOW": 60})
    courier = office.courier()
    for _ in range(50):
        courier.put(notice())
    courier.stop(20)
    assert counts(hook) == [50]
    assert sum("redis does not answer" in line for line in said) == (redis == "away")


def test_redis_that_goes_and_comes_back_loses_nothing(
    office: Office, hook: Webhook, start_redis: Callable[[], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "WITHOUT_REDIS", 0.5)
    server = start_redis()
    office.project.component("AIOREDIS", "redis-aioredis", URL=server.url)
    office.targets(ops={"URL": hook.url})
    courier = office.courier(stays=True)
    courier.put(notice("jobs.before")).result(30)
    server.kill()
    courier.put(notice("jobs.during")).result(30)
    wait_until(lambda: sum(counts(hook)) >= 1)
    server.start()
    courier.put(notice("jobs.after")).result(30)
    wait_until(lambda: "jobs.after" in str(hook.posted))
    assert "jobs.during" in str(hook.posted)


def test_each_target_is_told_what_it_wants(office: Office, hook: Webhook) -> None:
    office.targets(
        dead={"URL": f"{hook.url}/dead", "EVENTS": ["dead"]},
        tasks={"URL": f"{hook.url}/tasks", "TASKS": ["shop.*", "nightly"]},
        plugins={"URL": f"{hook.url}/plugins", "PLUGINS": ["billing"]},
    )
    courier = office.courier()
    courier.put(notice("shop.buy"))
    courier.put(notice("jobs.dead", kind="dead"))
    courier.put(notice("billing.bill", plugin="billing"))
    courier.put(notice("jobs.n", kind="missed", schedule="nightly"))
    courier.stop(20)
    found = {path.rpartition("/")[2]: posted for path, posted in zip(hook.paths, hook.posted, strict=True)}
    assert {name: [each["task"] for each in posted["failures"]] for name, posted in found.items()} == {
        "dead": ["jobs.dead"],
        "tasks": ["shop.buy", "jobs.n"],
        "plugins": ["billing.bill"],
    }


@pytest.mark.parametrize("redis", [True, False])
def test_a_target_has_so_many_messages_an_hour_and_the_rest_is_kept(
    office: Office, hook: Webhook, redis_url: str, redis: bool
) -> None:
    if redis:
        office.project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    office.targets(ops={"URL": hook.url, "WINDOW": 0.1, "LIMIT": 2})
    courier = office.courier(stays=True)
    courier.put(notice()).result(30)
    wait_until(lambda: len(hook.posted) == 1)
    courier.put(notice()).result(30)
    wait_until(lambda: len(hook.posted) == 2)
    for _ in range(5):
        courier.put(notice()).result(30)
        time.sleep(0.2)  # longer than the window: another message would have been sent
    assert counts(hook) == [1, 1]


@pytest.mark.parametrize("status", [500, 429, "hang", "drip"])
def test_a_target_that_is_in_trouble_is_tried_again_and_then_given_up(
    office: Office, hook: Webhook, said: list[str], status: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TIME_LIMIT", 1.0)
    hook.status = status
    with Webhook() as other:
        office.targets(ops={"URL": hook.url}, other={"URL": other.url})
        office.courier(stays=True).put(notice())
        wait_until(lambda: len(other.posted) == 1)  # it waits for nobody
        wait_until(lambda: any("'ops' is not told of 1 failure" in line for line in said), what=lambda: str(said))
    assert sum("'ops' is told of 1 failure in" in line for line in said) == 2
    assert 1 <= len(hook.posted) <= 3  # a target that hangs may not even have seen the others
    assert "hooks/T0" not in "".join(said)


def test_a_target_that_answers_again_is_told_then(
    with_redis: Office, hook: Webhook, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "PAUSES", (0.1,) * 1000)  # it is not given up before it answers
    hook.status = 503
    with_redis.targets(ops={"URL": hook.url})
    with_redis.courier(stays=True).put(notice())
    wait_until(lambda: any("'ops' is told of 1 failure in 0.1 s: it has answered 503" in line for line in said))
    hook.status = 200
    wait_until(lambda: any(line.strip().endswith("'ops' is told of 1 failure") for line in said))
    assert all(posted == hook.posted[0] for posted in hook.posted)


@pytest.mark.parametrize("status", [302, 307, 404, 410])
def test_a_redirect_and_a_wrong_url_are_not_tried_again(
    office: Office, hook: Webhook, said: list[str], status: int
) -> None:
    hook.status = status
    office.targets(ops={"URL": hook.url})
    office.courier(stays=True).put(notice())
    wait_until(lambda: any(f"'ops' is not told of 1 failure: it has answered {status}" in line for line in said))
    assert hook.paths == ["/hooks/T0/B0"]


def test_an_answer_of_any_size_is_taken(office: Office, hook: Webhook, said: list[str]) -> None:
    hook.status = "huge"
    office.targets(ops={"URL": hook.url})
    office.courier(stays=True).put(notice())
    wait_until(lambda: any("'ops' is told of 1 failure" in line for line in said))


def test_a_process_that_ends_does_not_wait_for_a_target(
    office: Office, hook: Webhook, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.status = "hang"
    office.targets(ops={"URL": hook.url, "WINDOW": 60})
    courier = office.courier()
    courier.put(notice()).result(30)
    courier.stop(0.3)
    assert any("this process ends before 1 failure is told" in line for line in said)
    hook._released.set()


def test_at_the_end_of_a_process_a_target_that_hangs_holds_up_no_other(
    office: Office, hook: Webhook, said: list[str]
) -> None:
    hook.status = "hang"
    with Webhook() as other:
        office.targets(first={"URL": hook.url, "WINDOW": 60}, second={"URL": other.url, "WINDOW": 60})
        courier = office.courier()
        courier.put(notice()).result(30)
        courier.stop(0.5)
        wait_until(lambda: len(other.posted) == 1, seconds=posting.STEP_LIMIT * 0.8)
    hook._released.set()


def test_what_is_being_sent_at_the_end_of_a_process_is_not_sent_twice(office: Office, hook: Webhook) -> None:
    hook.status = "hang"
    office.targets(ops={"URL": hook.url, "WINDOW": 0.1})
    courier = office.courier()
    courier.put(notice()).result(30)
    wait_until(lambda: hook.posted)
    courier.stop(1)
    assert len(hook.posted) == 1
    hook._released.set()


ENDING = """
import sys, threading, time
from types import SimpleNamespace
from opa.plugins.notify.courier import Courier, Target
from opa.plugins.notify.notice import Notice

class Config(dict):
    PROJECT_NAME = PROJECT_ID = "Shop"

options = dict(TYPE="json", URL=sys.argv[1], WINDOW=0, LIMIT=1, EVENTS=["failed"], TASKS=["*"], PLUGINS=["*"])
courier = Courier(SimpleNamespace(config=Config(), component_states={}), [Target("ops", options)], stays=True)
courier.put(Notice("failed", "a", "b", "", 0.0, 0.0, "1", "no", ""))
sys.stdin.readline()
courier.stop(0.1)
"""


def test_no_thread_that_waits_for_a_target_keeps_a_process_from_ending(hook: Webhook) -> None:
    hook.status = "hang"
    process = subprocess.Popen([sys.executable, "-c", ENDING, hook.url], stdin=subprocess.PIPE)
    wait_until(lambda: hook.posted)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(posting.STEP_LIMIT * 0.8) == 0
    hook._released.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody knows, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
            f" -addext subjectAltName=IP:127.0.0.1 -keyout {file}.key -out {file}"
        ).split(),
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + Path(f"{file}.key").read_text())
    return file


def to_mail(box: Mailbox, tls: str, **more: Any) -> dict[str, Any]:
    return {
        "TYPE": "mail",
        "HOST": "127.0.0.1",
        "PORT": box.port,
        "TLS": tls,
        "FROM": "Shop <shop@example.org>",
        "TO": ["ops@example.org", "Ada <ada@example.org>"],
        **more,
    }


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_by_tls_with_the_password_to_all(
    office: Office, certificate: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], tls: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Mailbox(certificate, is_tls=tls == "tls") as box:
        office.targets(ops=to_mail(box, tls, USER="ada", PASSWORD="pass-word"))
        office.courier(stays=True).put(notice())
        wait_until(lambda: len(box.mails) == 1, what=lambda: str(said))
        recipients, text = box.mails[0]
        assert box.logins == ["ada pass-word"]
    assert len(recipients) == 2
    assert "Subject: Shop: jobs.fails failed" in text


def test_a_server_whose_certificate_nobody_knows_gets_neither_password_nor_mail(
    office: Office, certificate: Path, said: list[str]
) -> None:
    with Mailbox(certificate) as box:
        office.targets(ops=to_mail(box, "starttls", USER="ada", PASSWORD="pass-word"))
        office.courier(stays=True).put(notice())
        wait_until(lambda: any("'ops' is not told" in line for line in said), what=lambda: str(said))
        assert (box.logins, box.mails) == ([], [])
    with Mailbox() as box:  # it offers no STARTTLS
        office.targets(ops=to_mail(box, "starttls"))
        office.courier(stays=True).put(notice())
        wait_until(lambda: sum("'ops' is not told" in line for line in said) == 2, what=lambda: str(said))
        assert box.mails == []


def test_a_mail_server_that_hangs_or_refuses_is_given_up(
    office: Office, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIME_LIMIT", 1.0)
    with Mailbox(hangs=True) as box:
        office.targets(ops=to_mail(box, "none"))
        office.courier(stays=True).put(notice())
        wait_until(lambda: any("'ops' is not told of 1 failure" in line for line in said), what=lambda: str(said))
    with Mailbox() as box:
        box.status = "550 no such user"
        office.targets(ops=to_mail(box, "none"))
        office.courier(stays=True).put(notice())
        wait_until(lambda: sum("'ops' is not told" in line for line in said) == 2, what=lambda: str(said))


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ({"TYPE": "slack"}, "should have URL"),
        ({"TYPE": "slack", "URL": "hooks.slack.com/x"}, "should be a URL"),
        ({"TYPE": "slack", "URL": "file:///etc/passwd"}, "should be a URL"),
        ({"TYPE": "irc", "URL": "https://example.org"}, "NOTIFY.ops"),
        ({"TYPE": "json", "URL": "https://example.org", "EVENTS": ["lost"]}, "EVENTS"),
        ({"TYPE": "json", "URL": "https://example.org", "HOST": "x"}, "should not have HOST"),
        ({"TYPE": "mail", "HOST": "x", "FROM": "a@b.c"}, "should have TO"),
        ({"TYPE": "mail", "HOST": "x", "FROM": "a@b.c\nBcc: x@y.z", "TO": "a@b.c"}, "should be an address"),
        ({"TYPE": "mail", "HOST": "x", "FROM": "a@b.c", "TO": "a@b.c", "USER": "u"}, "both USER and PASSWORD"),
        (
            {"TYPE": "mail", "HOST": "x", "FROM": "a@b.c", "TO": "a@b.c", "USER": "u", "PASSWORD": "p", "TLS": "none"},
            "should have TLS",
        ),
    ],
)
def test_a_target_that_cannot_be_told_stops_the_start(project: Project, target: dict[str, Any], problem: str) -> None:
    project.settings(NOTIFY={"ops": target})
    with pytest.raises(Exception, match="NOTIFY") as found:
        project.prepare()
    assert problem in str(found.value)


def test_without_a_target_nothing_of_it_is_imported(project: Project) -> None:
    manager = project.prepare()
    assert not manager.groups.members("on_task_failed")
    assert not manager.groups.members("task_observers")

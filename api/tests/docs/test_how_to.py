"""The guides do what they say, with the servers that they talk to; test_pages.py reads those with commands as well."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from email import message_from_string
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests import programs
from tests.docs.blocks import blocks
from tests.loopback import Handler, LoopbackServer
from tests.plugins.notify.targets import Mailbox
from tests.project import Project
from tests.serve.process import wait_until
from tests.servers import Server
from tests.stores import use_stores
from tests.tasks.workers import TaskProject, task_project

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"


def write(project: Project, page: str, **changes: str) -> None:
    """Write the files of a page into the project, with other texts in place of some."""
    for block in blocks(HOW_TO / page):
        if block.path:
            text = block.text
            for old, new in changes.items():
                assert old in text or not block.path.endswith(".yaml"), f"{page} has no {old}"
                text = text.replace(old, new)
            project.plugin(block.path, text, folder=".")


@pytest.fixture
def with_worker(project: Project, start_redis: Callable[[], Server]) -> Iterator[TaskProject]:
    url = start_redis().url
    with task_project(project, broker=f"{url}/1", backend=f"{url}/2") as tasks:
        yield tasks


class Bank(LoopbackServer):
    """The API of the guide. The first payments fail as `failures` says: with a status, or without an answer."""

    def __init__(self, *failures: int) -> None:
        self.payments: list[tuple[str, Any]] = []
        outer, left = self, list(failures)

        class Answers(Handler):
            def do_GET(self) -> None:
                self.answer(200, b'{"rate": "1.5"}')

            def do_POST(self) -> None:
                outer.payments.append((self.headers["Idempotency-Key"], json.loads(self.body())))
                failure = left.pop(0) if left else 0
                if failure < 0:
                    self.close_connection = True
                else:
                    self.answer(failure or 200, b'{"id": 7}')

        super().__init__(Answers)


def test_another_api_is_called_and_a_task_asks_again_with_the_same_key(with_worker: TaskProject) -> None:
    with Bank(500, -1) as bank:
        write(with_worker.project, "call-an-api.md", **{"https://bank.example.com/api": bank.address})
        with_worker.worker().wait_until_ready()
        with with_worker.sending() as client:
            assert client.get("/rates/usd").json() == 1.5
            assert client.post("/invoices/3/pay").status_code == 202
            wait_until(lambda: len(bank.payments) == 3, seconds=60, what="the payment is tried again")

    assert bank.payments == [("invoice-3", {"invoice": 3})] * 3


def test_while_the_other_api_is_gone_a_route_answers_503(project: Project) -> None:
    write(project, "call-an-api.md", **{"https://bank.example.com/api": "http://127.0.0.1:1"})

    with project.client() as client:
        for _ in range(3):
            assert client.get("/rates/usd").status_code == 503


def test_a_mail_is_sent_by_a_worker(with_worker: TaskProject) -> None:
    with Mailbox() as mailbox:
        server = f'127.0.0.1"\n      port: {mailbox.port}\n      start_tls: false\n      sender: "me@example.com'
        text = '      username: "shop"\n'
        write(with_worker.project, "email.md", **{"smtp.example.com": server, text: ""})
        with_worker.worker().wait_until_ready()
        with with_worker.sending() as client:
            assert client.post("/orders/4711/confirm?address=ada@example.com").status_code == 202
            wait_until(lambda: mailbox.mails, seconds=30, what="the mail has arrived")

    ((recipients, text),) = mailbox.mails
    mail = message_from_string(text)
    assert (recipients, mail["From"], mail["Subject"]) == (
        ["TO:<ada@example.com>"],
        "me@example.com",
        "Your order 4711",
    )


@pytest.mark.parametrize("address", ["a@b.c\r\nBcc: d@e.f", "a@b.c\nBcc: d@e.f"])
def test_nobody_adds_a_header_to_a_mail(project: Project, address: str) -> None:
    with Mailbox() as mailbox:
        server = f'127.0.0.1"\n      port: {mailbox.port}\n      start_tls: false\n      sender: "me@example.com'
        write(project, "email.md", **{"smtp.example.com": server, '      username: "shop"\n': ""})
        code = f"import asyncio, mail; asyncio.run(mail.send_mail.run({address!r}, 'x', 'y'))"
        done = programs.run(
            [sys.executable, "-m", "opa.cli", "shell", "-c", code], cwd=project.folder, env=dict(os.environ)
        )

    assert "Header values may not contain linefeed or carriage return characters" in done.stdout + done.stderr
    assert mailbox.mails == []


PNG = b"\x89PNG\r\n\x1a\n"


def test_an_upload_is_kept_under_a_name_of_our_own(project: Project) -> None:
    write(project, "uploads.md")
    picture = PNG + bytes(3_000_000)

    with project.client() as client:
        added = client.post("/pictures", files={"file": ("../../evil.sh", picture, "text/html")})
        assert added.status_code == 201, added.text
        shown = client.get(f"/pictures/{added.json()['id']}")
        assert (shown.content, shown.headers["content-type"]) == (picture, "image/png")
        assert [file.name for file in Path("pictures").iterdir()] == [f"{added.json()['id']}.png"]
        assert client.post("/pictures", files={"file": ("a.png", b"<script>")}).status_code == 415
        assert client.post("/pictures", files={"file": ("a.png", b"")}).status_code == 415
        assert client.get("/pictures/..%2f..%2fsecret").status_code in (404, 422)
        assert client.get("/pictures/5b8e5a5e-0000-4000-8000-000000000000").status_code == 404
        assert len(list(Path("pictures").iterdir())) == 1


class Store(LoopbackServer):
    """What boto3 needs of an object store with one bucket; `is_gone` closes connections instead of answering."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_gone = False
        outer = self

        class Answers(Handler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                path = self.path.partition("?")[0]
                self.answer(200 if path == "/files" or path in outer.objects else 404)

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                self.answer(200 if "Signature=" in query else 403, outer.objects.get(path, b""))

            def do_PUT(self) -> None:
                body = self.body()
                if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                    size, _, rest = body.partition(b"\r\n")
                    body = rest[: int(size.partition(b";")[0], 16)]
                outer.objects[self.path.partition("?")[0]] = body
                self.answer(200)

            def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
                if outer.is_gone:
                    self.close_connection = True
                else:
                    super().answer(status, body, **headers)

        super().__init__(Answers)


@pytest.fixture
def boto3(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed for this test alone: nothing else needs it."""
    folder = tmp_path_factory.mktemp("boto3")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--retries", "0"]
    done = subprocess.run(
        [*pip, "--timeout", "20", "--target", folder, "boto3"], capture_output=True, text=True, check=False, timeout=240
    )
    if done.returncode:
        pytest.skip(f"boto3 cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    monkeypatch.syspath_prepend(folder)
    for name, value in {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)


def test_files_are_kept_in_a_store_and_fetched_there(project: Project, boto3: None) -> None:
    with Store() as store:
        write(project, "s3.md", **{"http://minio:9000": store.address})
        content = os.urandom(100_000)
        with project.client(follow_redirects=False) as client:
            name = client.post("/files", files={"file": ("a.txt", content)}).json()
            assert store.objects == {f"/files/{name}": content}
            fetched = client.get(f"/files/{name}")
            assert fetched.status_code == 307
            assert httpx2.get(fetched.headers["location"]).content == content
            assert client.get("/files/5b8e5a5e-0000-4000-8000-000000000000").status_code == 404
            store.is_gone = True
            assert client.get(f"/files/{name}").status_code == 503


def test_a_list_is_read_in_pages_without_gaps(project: Project, request: pytest.FixtureRequest) -> None:
    use_stores(project, (HOW_TO / "pagination.md").read_text(), request)
    write(project, "pagination.md")

    with project.client() as client:
        client.post("/orders", json=[{"item": str(number)} for number in range(7)])
        seen: list[str] = []
        after = ""
        while True:
            page = client.get(f"/orders?size=3{after}").json()
            seen += [order["item"] for order in page["orders"]]
            if len(seen) < 4:
                client.post("/orders", json=[{"item": "later"}])
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert seen == [*map(str, range(7)), "later"]
        for wrong in ("size=0", "size=201", "after=x", "after=%00", "size=x"):
            assert client.get(f"/orders?{wrong}").status_code == 422


def test_news_reach_each_websocket_and_a_client_that_leaves_is_forgotten(
    project: Project, request: pytest.FixtureRequest
) -> None:
    use_stores(project, (HOW_TO / "websockets.md").read_text(), request)
    write(project, "websockets.md")

    def listening(client: Any, count: int) -> bool:
        return bool(client.post("/news?text=ping").json() == count)

    with project.client() as client:
        with client.websocket_connect("/news") as first, client.websocket_connect("/news") as second:
            wait_until(lambda: listening(client, 2), what="both listen")
            client.post("/news?text=hello")
            for socket in (first, second):
                while socket.receive_text() != "hello":
                    pass
        wait_until(lambda: listening(client, 0), seconds=20, what="nobody listens any more")


def test_the_environment_chooses_the_implementation(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, "by-environment.md")

    with project.client() as client:
        assert client.post("/sms/ada?text=hello").json() == "sent"
    monkeypatch.setenv("ENV", "dev")
    with project.client(base_url="http://localhost") as client:
        assert client.post("/sms/ada?text=hello").json() == "logged"


def unit() -> str:
    return next(block.text for block in blocks(HOW_TO / "systemd.md") if block.path == "shop@.service")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    file = tmp_path / "shop@api.service"
    file.write_text(unit().replace("/srv/shop/venv/bin/opa", "/bin/true").replace("User=shop", "User=daemon"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False, timeout=60
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if file.name in line]
    assert said == []


def test_with_the_variables_of_the_unit_opa_starts(project: Project, tmp_path: Path) -> None:
    project.plugin("hello.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/')(lambda: 1)\n")
    (tmp_path / "secret_key").write_text("0" * 64)
    text = unit().replace("/srv/shop", str(project.folder)).replace("%d", str(tmp_path)).replace("%i", "api")
    variables = dict(
        pair.split("=", 1) for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE) for pair in line.split()
    )
    assert variables["MODE"] == "api"

    done = programs.run(
        [sys.executable, "-m", "opa.cli", "check"], cwd=project.folder, env=dict(os.environ) | variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok: 1 plugin" in done.stdout

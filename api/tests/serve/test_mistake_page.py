"""In development, a page stands in the place of an api that does not start because of a mistake."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from opa._util.flag import Flag
from opa.errors import RegistrationError, SettingsError
from opa.serve import mode_process
from opa.serve.mistake import Mistake, read_mistakes, write_mistakes
from opa.serve.mistake_page import SUMMARY, Server, page
from opa.serve.mode_process import MistakePage
from opa.settings.load import load_settings
from tests.no_answer import NO_ANSWER
from tests.serve.process import Opa, free_port, is_running, wait_until
from tests.serve.raw import Raw, get

BROKEN = """
import os

TOKEN = "password=planted"


def broken():
    raise ValueError("<b>no")


broken()
"""


def ask(opa: Opa, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", opa.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def answers_503(opa: Opa) -> bool:
    try:
        return ask(opa)[0] == 503
    except NO_ANSWER:
        return False


def test_a_mistake_is_a_page_with_the_code_around_it_until_it_is_fixed(opa: Opa) -> None:
    opa.plugin("shop.py", BROKEN)
    opa.start(OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    wait_until(lambda: answers_503(opa), what=lambda: opa.log)

    status, headers, html = ask(opa, "/any/path?x=1", Accept="text/html,*/*")
    assert (status, headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert "script-src 'sha256-" in headers["Content-Security-Policy"]
    assert "plugin &#x27;shop&#x27; does not import: ValueError: &lt;b&gt;no" in html
    assert "<mark>" in html
    assert "raise ValueError" in html
    assert "planted" not in html
    assert f'data-mark="{headers["X-Opa-Mistake"]}"' in html
    for method in ("POST", "DELETE", "BREW"):
        assert ask(opa, "/healthz", method)[0] == 503
    assert "ValueError" in ask(opa)[2]
    assert ask(opa, method="HEAD", Accept="text/html")[2] == ""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        told = ask(opa, Host=host, Accept="text/html")[2] + ask(opa, Host=host)[2]
        assert SUMMARY in told
        assert "shop" not in told

    opa.hello("fixed")
    opa.plugin("shop.py", "")
    wait_until(lambda: opa.answers("/hello", "fixed"), what=lambda: opa.log)
    opa.plugin("shop.py", "def broken(:\n")
    wait_until(lambda: answers_503(opa), what=lambda: opa.log)
    children = opa.children()
    assert opa.stop() == 0
    assert not any(map(is_running, children))


def test_the_page_ends_with_its_supervisor(opa: Opa) -> None:
    opa.plugin("shop.py", BROKEN)
    opa.start(OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    wait_until(lambda: answers_503(opa), what=lambda: opa.log)
    children = opa.children()
    assert opa.process is not None
    os.kill(opa.process.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, children)))


def test_mistakes_are_written_with_the_lines_around_them_and_without_secrets(tmp_path: Path) -> None:
    plugin, file = tmp_path / "shop.py", tmp_path / "mistakes"
    plugin.write_text("".join(f"line {number}\n" for number in range(1, 21)) + "password = 'planted'\n")

    write_mistakes(file, RegistrationError("it is wrong", where=f"{plugin}:18", hint="Fix it"))
    [mistake] = read_mistakes(file)
    assert (mistake.text, mistake.line, mistake.first) == (f"it is wrong ({plugin}:18). Fix it", 18, 13)
    assert mistake.code[0] == "line 13"
    assert "planted" not in str(mistake)

    plugin.write_text(f"data = '{'x' * 3_000_000}'\n")
    write_mistakes(file, RegistrationError("it is wrong", where=f"{plugin}:1"))
    assert len(read_mistakes(file)[0].code[0]) == 1000

    write_mistakes(file, SettingsError("two", mistakes=("one: is wrong", "two: is wrong")))
    assert [mistake.text for mistake in read_mistakes(file)] == ["one: is wrong", "two: is wrong"]


@pytest.mark.parametrize("where", ["settings/a.yaml:3", "/etc/passwd:1", "/none.py:7", "/tmp:1", "setting X", None])
def test_only_code_that_can_be_read_is_shown(tmp_path: Path, where: str | None) -> None:
    file = tmp_path / "mistakes"
    write_mistakes(file, RegistrationError("it is wrong", where=where))
    assert read_mistakes(file)[0].code == ()


def test_a_page_without_mistakes_says_where_they_are(tmp_path: Path) -> None:
    assert read_mistakes(tmp_path / "none") == ()
    (tmp_path / "half").write_text('[{"text"')
    assert read_mistakes(tmp_path / "half") == ()
    assert SUMMARY in page((), "mark")
    assert "<mark>   12  &lt;script&gt;" in page((Mistake("wrong", line=12, code=("<script>",), first=12),), "mark")


def test_an_answer_that_the_page_has_begun_is_whole_where_a_reload_ends_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mode_process, "PAGE_GRACE", 60)
    port, shown = free_port(), MistakePage()
    # More than fits into the buffers of a connection: the page waits for its client in the middle of the answer.
    text = "wrong" * 4_000_000
    shown.file.write_text(json.dumps([asdict(Mistake(text))]))
    shown.show(load_settings(last={"HOST": "127.0.0.1", "PORT": port}))
    try:
        wait_until(lambda: listens(port))
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request("GET", "/")
            answer = connection.getresponse()
            end = threading.Thread(target=shown.close)
            end.start()
            wait_until(lambda: not listens(port))
            assert json.loads(answer.read())["detail"] == text
            end.join()
        assert shown.status() == 0
    finally:
        shown.kill()
        shown.forget()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_before_the_page_ends_it_answers_who_has_asked_and_waits_for_nobody_else() -> None:
    server, stop = Server((), "127.0.0.1", 0), Flag()
    port = server.socket.getsockname()[1]
    stop.set()
    with Raw(port) as asked, Raw(port) as silent:
        asked.send(get("/"))
        server.serve_until(stop)
        assert asked.status() == 503
        assert silent.is_closed()


def test_pages_of_allowed_origins_can_read_that_there_is_a_mistake_and_no_code() -> None:
    server, stop = Server((Mistake("my secret code"),), "127.0.0.1", 0, frozenset({"http://shop.test"})), Flag()
    serving = threading.Thread(target=server.serve_until, args=[stop])
    serving.start()
    port = server.socket.getsockname()[1]

    def ask(origin: str, *headers: str, method: str = "GET") -> tuple[int, str | None, bytes]:
        with Raw(port) as client:
            client.send(get("/", *(["Origin: " + origin] if origin else []), *headers, method=method))
            status, answered, body = client.answer()
            return status, answered.get("access-control-allow-origin"), body

    try:
        assert ask("http://shop.test")[:2] == (503, "http://shop.test")
        assert b"secret" not in ask("http://shop.test")[2]
        assert ask("http://other.test")[1] is None
        assert b"secret" not in ask("http://other.test")[2]
        assert b"secret" in ask("")[2]
        assert b"secret" in ask("http://localhost")[2]  # a form of its own
        preflight = ask("http://shop.test", "Access-Control-Request-Method: PUT", method="OPTIONS")
        assert preflight[:2] == (204, "http://shop.test")
    finally:
        stop.set()
        serving.join()

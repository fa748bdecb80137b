"""People sign in on the page, use what they may, and sign out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from loguru import logger
from redis import Redis
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from opa import OpaError
from opa.logging.refusal_log import Refusals
from tests.plugins.access_sessions.people import (
    COOKIE,
    HASH,
    HOST,
    OURS,
    PASSWORD,
    USERS,
    browser,
    forget_sessions,
    sign_in,
    use_sessions,
)
from tests.project import Project
from tests.servers import Server, wait_until

HTML = {"Accept": "text/html"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN_COOKIE = "opa-session"


@pytest.fixture
def shop(project: Project, redis_url: str) -> Project:
    use_sessions(project, redis_url)
    return project


def test_a_browser_is_sent_to_the_page_and_back_to_what_it_asked_for(shop: Project) -> None:
    shop.settings(ACCESS={"/docs": "shop:docs", "/openapi.json": "shop:docs"})
    with browser(shop) as client:
        away = client.get("/docs?a=b&c=d", headers=HTML)
        assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=%2Fdocs%3Fa%3Db%26c%3Dd")
        form = client.get(away.headers["location"])
        assert 'name="next" value="/docs?a=b&amp;c=d"' in form.text

        back = sign_in(client, next="/docs?a=b&c=d")
        assert (back.status_code, back.headers["location"]) == (303, "/docs?a=b&c=d")
        assert client.get(back.headers["location"], headers=HTML).status_code == 200
        assert client.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_browser_gets_to_the_page_from_an_application_that_is_mounted(shop: Project, prefix: str) -> None:
    shop.plugin(
        "inner.py",
        """
        from fastapi import FastAPI
        from opa import Requires, get_router

        app = FastAPI(dependencies=[Requires()])
        app.get("/list")(lambda: "list")
        router = get_router()
        router.mount("/inner", app)
        """,
    )
    with shop.client(base_url=HOST, follow_redirects=False, root_path=prefix) as client:
        away = client.get(f"{prefix}/inner/list?a=b", headers=HTML)
        back = f"{prefix}/inner/list?a=b"
        assert (away.status_code, away.headers["location"]) == (303, f"{prefix}/sign-in?{urlencode({'next': back})}")
        assert sign_in(client, next=back).headers["location"] == back


def test_the_actor_is_the_user_with_the_scopes_of_the_settings(shop: Project) -> None:
    with browser(shop) as client:
        sign_in(client)
        assert client.get("/orders").json() == ["user:ada", "session", ["shop:*"], {"user": "ada"}]
        assert client.post("/orders", headers=OURS).json() == "ordered"
        with client.websocket_connect("wss://testserver/socket", headers=OURS) as socket:
            assert socket.receive_text() == "user:ada"


def test_a_person_without_the_scope_is_told_which_is_missing(shop: Project) -> None:
    with browser(shop) as client:
        sign_in(client, "ben")
        answer = client.get("/orders")
    assert (answer.status_code, answer.json()) == (403, {"detail": "the scope shop:read is missing"})


def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(shop: Project) -> None:
    with browser(shop) as client:
        given = sign_in(client).headers["set-cookie"]
    name, _, rest = given.partition("=")
    assert name == COOKIE
    assert re.fullmatch(r"opas_[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", rest)


def test_the_page_runs_no_script_is_kept_by_nobody_and_can_be_read_aloud(shop: Project) -> None:
    with browser(shop) as client:
        page = client.get("/sign-in")
        assert client.head("/sign-in").status_code == 200
    policy = page.headers["content-security-policy"]
    assert "script-src 'self' ;" in policy
    assert "form-action 'self'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert (page.headers["x-frame-options"], page.headers["referrer-policy"]) == ("DENY", "same-origin")
    assert "<script" not in page.text
    assert '<html lang="en">' in page.text
    assert 'name="viewport" content="width=device-width' in page.text
    for field in re.findall(r'<input id="(\w+)"', page.text):
        assert f'<label for="{field}">' in page.text


def test_values_that_were_sent_stand_in_the_page_as_text(shop: Project) -> None:
    evil = '"><script>alert(1)</script>'
    with browser(shop) as client:
        pages = [client.get("/sign-in", params={"next": f"/{evil}"}), sign_in(client, evil, next=f"/{evil}")]
    for page in pages:
        assert "<script" not in page.text


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/%5Cevil.example", "/%2Fevil.example", "/\t/evil"],
)
def test_nobody_is_sent_to_another_host(shop: Project, target: str) -> None:
    with browser(shop) as client:
        page, back = client.get("/sign-in", params={"next": target}), sign_in(client, next=target)
    assert "evil" not in page.text
    assert (back.status_code, back.headers["location"]) == (303, "/sign-in")


@pytest.fixture
def no_refusals_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is logged at once."""
    monkeypatch.setattr("opa.http.access.attempt.refusals", Refusals())


@pytest.mark.usefixtures("no_refusals_yet")
def test_wrong_attempts_get_one_answer_and_no_session(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with browser(shop) as client:
        wrong, unknown = sign_in(client, password="wrong password"), sign_in(client, "eve", "wrong password")
        long = sign_in(client, password="x" * 2000)
        assert not client.cookies
    assert wrong.status_code == unknown.status_code == long.status_code == 403
    assert wrong.text.replace("ada", "eve") == unknown.text
    assert 'role="alert"' in wrong.text
    assert "set-cookie" not in wrong.headers
    output = "".join(capsys.readouterr())
    assert "wrong credentials from testclient, the last: a wrong password of user 'ada'" in output
    assert "'eve'" not in output


def test_many_wrong_passwords_for_a_name_have_to_wait_and_other_people_need_not(shop: Project) -> None:
    shop.settings(WRONG_ATTEMPTS_PER_KEY=3)
    with browser(shop) as client:
        assert {sign_in(client, password=f"wrong {number}").status_code for number in range(3)} == {403}
        for password in ("wrong again", PASSWORD):
            late = sign_in(client, password=password)
            assert late.status_code == 429
            assert int(late.headers["retry-after"]) > 0
            assert "too many wrong passwords" in late.text
        assert not client.cookies
        assert sign_in(client, "ben").status_code == 303


@pytest.mark.usefixtures("no_refusals_yet")
def test_a_name_that_is_not_known_is_not_logged(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with browser(shop) as client:
        sign_in(client, "a password in the wrong field", "wrong")
    output = "".join(capsys.readouterr())
    assert "a wrong password of an unknown user" in output
    assert "in the wrong field" not in output


def test_a_session_is_a_new_one_at_each_sign_in_and_the_former_ends(shop: Project) -> None:
    with browser(shop) as client:
        planted = "opas_" + "A" * 43
        client.cookies.set(COOKIE, planted, domain="testserver.local", path="/")
        first = cookie_of(sign_in_anew(client))
        second = cookie_of(sign_in_anew(client, first))
        assert len({planted, first, second}) == 3
        assert status(client, second) == 200
        assert status(client, first) == status(client, planted) == 401


def many_times(step: Callable[[], object]) -> None:
    for _ in range(10_000):
        step()


def test_signing_out_closes_a_websocket_that_is_open(shop: Project) -> None:
    shop.plugin(
        "echo.py",
        """
        from fastapi import WebSocket
        from opa import Requires, get_router

        router = get_router()

        @router.websocket("/echo", dependencies=[Requires()])
        async def echo(websocket: WebSocket):
            await websocket.accept()
            while True:
                await websocket.send_text(await websocket.receive_text())
        """,
    )
    shop.settings(ACCESS_RECHECK=0.001)

    def talk(socket: WebSocketTestSession) -> str:
        socket.send_text("hello")
        return socket.receive_text()

    with browser(shop) as client:
        sign_in(client)
        with client.websocket_connect("wss://testserver/echo", headers=OURS) as socket:
            assert [talk(socket) for _ in range(5)] == ["hello"] * 5
            client.post("/sign-out", headers=OURS)
            with pytest.raises(WebSocketDisconnect) as closed:
                many_times(lambda: talk(socket))
            assert closed.value.code == 1008


def test_signing_out_ends_the_session_here_and_in_redis(shop: Project) -> None:
    with browser(shop) as client:
        session = cookie_of(sign_in(client))
        shown = client.get("/sign-in")
        assert "signed in as <strong>ada</strong>" in shown.text
        assert client.get("/sign-out").status_code == 405
        assert client.post("/sign-out", headers={"Origin": "https://evil.example"}).status_code == 403
        assert status(client, session) == 200
        out = client.post("/sign-out", headers={**OURS, "Cookie": f"{COOKIE}={session}"})
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert f'{COOKIE}=""' in out.headers["set-cookie"]
        assert "Secure" in out.headers["set-cookie"]
        assert status(client, session) == 401


FOREIGN: list[dict[str, str]] = [
    {},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver"},
    {"Origin": "https://testserver:8443"},
    {"Origin": "https://testserver.evil.example"},
    {"Origin": "https://sub.testserver"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": HOST},
    {"Sec-Fetch-Site": "cross-site", "Origin": HOST},
    {"Sec-Fetch-Site": "none"},
    {"Referer": f"{HOST}/"},
    {"X-HTTP-Method-Override": "GET"},
]
OWN: list[dict[str, str]] = [
    {"Origin": HOST},
    {"Origin": "HTTPS://TESTSERVER"},
    {"Origin": f"{HOST}:443"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": HOST},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_a_request_from_a_foreign_page_changes_nothing(shop: Project, headers: dict[str, str]) -> None:
    with browser(shop) as client:
        sign_in(client)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.request(method, "/orders", headers=headers).status_code == 403
        with (
            pytest.raises(WebSocketDisconnect),  # or an answer, which is one of them
            client.websocket_connect("wss://testserver/socket", headers=headers),
        ):
            pass
        assert client.get("/orders", headers=headers).status_code == 200
        assert client.post("/open", headers=headers).status_code == 200
        client.cookies.clear()
        assert sign_in(client, headers=headers).status_code == 403
        assert not client.cookies


@pytest.mark.parametrize("headers", OWN, ids=str)
def test_a_request_from_an_own_page_passes(shop: Project, headers: dict[str, str]) -> None:
    with browser(shop) as client:
        assert sign_in(client, headers=headers).status_code == 303
        assert client.post("/orders", headers=headers).status_code == 200


def test_a_request_with_two_origins_is_refused(shop: Project) -> None:
    with browser(shop) as client:
        sign_in(client)
        for name, values in (("Origin", (HOST, HOST)), ("Sec-Fetch-Site", ("same-origin", "cross-site"))):
            headers: Any = [(name, value) for value in values]
            assert client.post("/orders", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "cookie",
    [
        f"{COOKIE}=",
        f"{COOKIE}=short",
        f"{COOKIE}=opas_{'A' * 43}",
        f"{COOKIE}={'A' * 43}",
        f"{COOKIE}={'A' * 5000}",
        f"{COOKIE}=../../{'A' * 37}",
        f"{COOKIE}=opas_{'A' * 43}; {COOKIE}=opas_{'B' * 43}",
        f"{PLAIN_COOKIE}=opas_{'A' * 43}",
    ],
)
def test_a_cookie_that_is_no_session_is_answered_as_none(shop: Project, cookie: str) -> None:
    with browser(shop) as client:
        answer, without = client.get("/orders", headers={"Cookie": cookie}), client.get("/orders")
        assert (answer.status_code, answer.content, answer.headers) == (401, without.content, without.headers)
        assert client.get("/sign-in", headers={"Cookie": cookie}).status_code == 200


def test_a_cookie_that_anyone_on_the_way_can_plant_is_not_read_over_tls(shop: Project) -> None:
    with browser(shop) as client:
        session = cookie_of(sign_in(client))
        client.cookies.clear()
        assert client.get("/orders", headers={"Cookie": f"{PLAIN_COOKIE}={session}"}).status_code == 401


@pytest.mark.parametrize("host", ["http://localhost", "http://127.0.0.1:8000", "http://[::1]:8000"])
def test_without_tls_a_session_stays_on_the_machine(shop: Project, host: str) -> None:
    with browser(shop, host) as client:
        given = sign_in(client, headers={"Origin": host})
        assert given.headers["set-cookie"].startswith(f"{PLAIN_COOKIE}=")
        assert "Secure" not in given.headers["set-cookie"]
        assert status(client, cookie_of(given), PLAIN_COOKIE) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://shop.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://shop.example"},
    ],
    ids=str,
)
def test_a_proxy_that_says_localhost_in_the_place_of_its_name_gives_nobody_a_session(
    shop: Project, headers: dict[str, str]
) -> None:
    """As nginx does by itself. The browser knows the name, and the cookie would go through the network."""
    with browser(shop, "http://localhost:8000") as client:
        refused = sign_in(client, headers=headers)
        assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


def test_without_tls_nobody_signs_in_from_another_machine_but_in_development(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "http://shop.example"
    with browser(shop, host) as client:
        assert (client.get("/sign-in").status_code, "needs https" in client.get("/sign-in").text) == (403, True)
        assert sign_in(client, headers={"Origin": host}).status_code == 403
        monkeypatch.setenv("ENV", "dev")
        given = sign_in(client, headers={"Origin": host})
        assert given.status_code == 303
        monkeypatch.setenv("ENV", "prod")
        assert status(client, cookie_of(given), PLAIN_COOKIE) == 401


def test_the_pages_are_open_whatever_access_says_and_nothing_below_them(shop: Project) -> None:
    shop.settings(ACCESS={"*": "admin", "/sign-in": "admin"}, ACCESS_DEFAULT="closed")
    with browser(shop) as client:
        assert client.get("/sign-in").status_code == 200
        assert client.get("/sign-in/more").status_code == 401
        assert sign_in(client).status_code == 303
        assert client.post("/sign-out", headers=OURS).status_code == 303
        assert client.get("/orders").status_code == 401


def test_sessions_end_when_their_user_is_changed_or_taken_out_in_the_settings(shop: Project) -> None:
    with browser(shop) as client:
        ada, ben = (cookie_of(sign_in_anew(client, user=user)) for user in ("ada", "ben"))
    other = PasswordHasher(time_cost=1, memory_cost=7168, parallelism=1).hash("another password")
    for users, statuses in (
        (USERS, (200, 403)),
        ({**USERS, "ada": {**USERS["ada"], "PASSWORD": other}}, (401, 403)),
        ({**USERS, "ben": {**USERS["ben"], "SCOPES": ["shop:read"]}}, (200, 401)),
        ({"ben": USERS["ben"]}, (401, 403)),
    ):
        shop.settings(USERS=users)
        with browser(shop) as client:
            assert (status(client, ada), status(client, ben)) == statuses


def test_sessions_of_one_person_at_once_are_several_and_each_ends_by_itself(shop: Project) -> None:
    with browser(shop) as client:
        first, second = (cookie_of(sign_in_anew(client)) for _ in range(2))
        client.cookies.clear()
        # What a browser has planted beside it ends nothing, and is not taken for the session that begins.
        both = {**OURS, "Cookie": f"{COOKIE}={first}; {COOKIE}={second}"}
        client.post("/sign-out", headers=both)
        assert cookie_of(sign_in(client, headers=both)) not in (first, second)
        assert (status(client, first), status(client, second)) == (200, 200)
        client.post("/sign-out", headers={**OURS, "Cookie": f"{COOKIE}={first}"})
        assert (status(client, first), status(client, second)) == (401, 200)


def test_a_session_of_another_project_in_the_same_redis_is_none(shop: Project) -> None:
    with browser(shop) as client:
        session = cookie_of(sign_in(client))
        assert status(client, session) == 200
    shop.settings(PROJECT_ID=uuid4().hex)
    with browser(shop) as client:
        assert status(client, session) == 401


def test_a_session_ends_after_its_lifetime(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.settings(SESSION_LIFETIME=600)
    with browser(shop) as client:
        session = cookie_of(sign_in(client))
        assert status(client, session) == 200
        now = time.time()
        monkeypatch.setattr("opa.plugins.access_sessions.authenticator.time", lambda: now + 601)
        assert status(client, session) == 401


def test_too_many_at_once_are_turned_away(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser(shop) as client:
        passwords = sys.modules["opa.plugins.access_sessions.passwords"]  # as this application has imported it

        async def busy(*_: object) -> bool:
            raise passwords.TooManyError

        monkeypatch.setattr(passwords.PasswordCheck, "is_right", busy)
        answer = sign_in(client, next="/docs")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert 'value="/docs"' in answer.text
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "request_of",
    [
        lambda client: client.post("/sign-in", json={"user": "ada", "password": PASSWORD}, headers=OURS),
        lambda client: client.post("/sign-in", files={"user": b"ada"}, headers=OURS),
        lambda client: client.post("/sign-in", data={"user": ["ada", "ben"], "password": PASSWORD}, headers=OURS),
        lambda client: client.post("/sign-in", data={"user": "a" * 20_000}, headers=OURS),
        lambda client: client.post("/sign-in", data={str(n): "x" for n in range(50)}, headers=OURS),
        lambda client: client.post("/sign-in", content=b"user=%ff&password=x", headers=OURS | FORM),
        lambda client: client.post("/sign-in", content="user=ä".encode(), headers=OURS | FORM),
    ],
)
def test_a_body_that_the_form_does_not_send_is_refused(shop: Project, request_of: Callable[[TestClient], Any]) -> None:
    with browser(shop) as client:
        assert request_of(client).status_code == 400
        assert not client.cookies


def test_a_session_is_not_believed_while_redis_is_gone(project: Project, start_redis: Callable[[], Server]) -> None:
    """A session is not believed, and nobody signs in or out; what needs nobody goes on."""
    redis = start_redis()
    use_sessions(project, redis.url)
    with browser(project) as client:
        session = cookie_of(sign_in(client))
        assert status(client, session) == 200
        redis.stop()
        assert status(client, session) == 503
        client.cookies.clear()
        gone = sign_in(client)
        assert (gone.status_code, gone.headers["retry-after"]) == (503, "2")
        out = client.post("/sign-out", headers={**OURS, "Cookie": f"{COOKIE}={session}"})
        assert (out.status_code, "set-cookie" in out.headers) == (503, False)
        assert client.get("/sign-in").status_code == 200
        assert client.post("/open").status_code == 200
        redis.start()
        assert wait_until(lambda: sign_in(client).status_code == 303)


def test_while_redis_takes_nothing_no_answer_tells_a_right_password(
    project: Project, start_redis: Callable[[], Server]
) -> None:
    redis = start_redis()
    use_sessions(project, redis.url, WRONG_ATTEMPTS_PER_KEY=3)
    with browser(project) as client, Redis.from_url(redis.url) as server:
        server.replicaof("127.0.0.1", 1)  # a replica that takes no writes
        tried = [("ada", PASSWORD), ("ada", "wrong"), ("nobody", "wrong"), ("ada", "a" * 2000)]
        for _ in range(6):  # none of them counts either: who has to wait would know that it was wrong
            answers = [sign_in(client, user, password) for user, password in tried]
            assert {answer.status_code for answer in answers} == {503}
            assert len({(answer.text, tuple(sorted(answer.headers))) for answer in answers}) == 1
        server.replicaof("NO", "ONE")
        assert sign_in(client, "ada", "wrong").status_code == 403
        assert sign_in(client).status_code == 303


def test_without_redis_the_start_says_so(project: Project) -> None:
    forget_sessions()
    project.settings(USERS=USERS)
    with pytest.raises(OpaError, match="USERS needs the component 'aioredis', which is not to be loaded"):
        project.app()


def test_a_start_with_users_and_without_the_host_of_redis_is_refused(project: Project) -> None:
    project.component("AIOREDIS", "redis-aioredis", load="auto", URL="redis://nowhere.invalid")
    forget_sessions()
    project.settings(USERS=USERS)
    with pytest.raises(OpaError, match="USERS needs the component 'aioredis', which is not loaded"), browser(project):
        pass


def test_without_the_package_the_start_says_what_to_install(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OpaError, match=r"pip install 'opa-stack\[sessions\]'"):
        shop.app()


def test_without_users_nothing_of_it_is_there(project: Project) -> None:
    forget_sessions()
    with browser(project) as client:
        assert client.get("/sign-in").status_code == 404
    assert "opa.plugins.access_sessions.signing" not in sys.modules


def test_the_documentation_names_the_cookie(shop: Project) -> None:
    with browser(shop) as client:
        document = client.get("/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["session"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", COOKIE)
    assert {"session": ["shop:read"]} in document["paths"]["/orders"]["get"]["security"]
    assert "/sign-in" not in document["paths"]


def test_the_prefix_of_a_proxy_is_kept(shop: Project) -> None:
    with shop.client(base_url=HOST, follow_redirects=False, root_path="/api") as client:
        away = client.get("/orders?x=1", headers=HTML)
        assert away.headers["location"] == "/api/sign-in?next=%2Fapi%2Forders%3Fx%3D1"
        assert 'action="/api/sign-in"' in client.get("/sign-in").text
        assert sign_in(client).headers["location"] == "/api/sign-in"


@pytest.mark.usefixtures("no_refusals_yet")
def test_no_password_and_no_session_is_in_the_log(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    shop.settings(LOGLEVEL="trace")
    with browser(shop) as client:
        session = cookie_of(sign_in(client))
        sign_in(client, password="not the right one")
        status(client, session)
        client.post("/sign-out", headers={**OURS, "Cookie": f"{COOKIE}={session}"})
    output = "".join(capsys.readouterr())
    for told in ("sessions.begin", "a wrong password", "sessions.end"):
        assert told in output
    for secret in (PASSWORD, "not the right one", session, HASH):
        assert secret not in output


def test_the_audit_log_has_who_signed_in_and_out_and_from_where(shop: Project) -> None:
    found: list[Any] = []
    number = logger.add(lambda message: found.append(message.record), level=0)
    try:
        with browser(shop) as client:
            sign_in(client)
            sign_in(client, password="not the right one")
            client.post("/sign-out", headers=OURS)
            client.post("/sign-out", headers=OURS)
    finally:
        logger.remove(number)
    audited = [record["extra"] for record in found if record["name"] == "opa.audit"]
    assert [(line["what"], line["who"], line["from"]) for line in audited] == [
        ("sessions.begin", "user:ada", "testclient"),
        ("sessions.end", "user:ada", "testclient"),
    ]


def cookie_of(answer: Any) -> str:
    found = re.match(r"[\w-]+=(opas_[\w-]{43});", answer.headers["set-cookie"])
    assert found is not None
    return found[1]


def sign_in_anew(client: TestClient, former: str = "", user: str = "ada") -> Any:
    client.cookies.clear()
    return sign_in(client, user, headers={**OURS, **({"Cookie": f"{COOKIE}={former}"} if former else {})})


def status(client: TestClient, session: str, name: str = COOKIE) -> int:
    """What a browser with this session gets of /orders."""
    client.cookies.clear()
    return int(client.get("/orders", headers={"Cookie": f"{name}={session}"}).status_code)

"""People sign in with a provider."""

from __future__ import annotations

import re
import sys
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import hypothesis
import pytest
import redis
from hypothesis import strategies
from loguru import logger
from starlette.testclient import TestClient
from uvicorn.protocols.utils import get_path_with_query_string

from opa import OpaError
from opa.http.access import attempt
from tests.oidc_provider import CLIENT_SECRET, OidcProvider, settings_of
from tests.plugins.access_sessions.people import COOKIE, HOST, OURS, USERS, browser, forget_sessions, sign_in
from tests.project import Project

HTML = {"Accept": "text/html"}
FLOW = "__Host-opa-sign-in"
START, CALLBACK = "/sign-in/acme", "/sign-in/acme/callback"


def leave(client: TestClient, back: str = "", start: str = START) -> str:
    """Begin to sign in, and let the provider do so: the URL to which it sends the browser back."""
    away = client.get(start, params={"next": back} if back else {})
    assert away.status_code == 303, away.text
    answer = httpx2.get(away.headers["location"], follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def sign_in_with(client: TestClient, back: str = "", start: str = START) -> Any:
    return client.get(leave(client, back, start))


def problem_in(answer: Any) -> str:
    found = re.search(r'<p role="alert"[^>]*>(.*?)</p>', answer.text)
    assert found is not None
    return found[1]


def test_from_the_page_to_a_closed_route_and_out_again(shop: Project, provider: OidcProvider) -> None:
    shop.settings(ACCESS={"/docs": "shop:docs", "/openapi.json": "shop:docs"})
    with browser(shop) as client:
        away = client.get("/docs?a=b", headers=HTML)
        page = client.get(away.headers["location"])
        assert "<form" not in page.text
        assert "Sign in with Acme &amp; Sons</a>" in page.text
        (link,) = re.findall(r'href="([^"]+)"', page.text)
        assert link == "/sign-in/acme?next=%2Fdocs%3Fa%3Db"

        to_provider = client.get(link)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(to_provider.headers["location"]).query).items()}
        assert asked["redirect_uri"] == f"{HOST}{CALLBACK}"
        assert asked["scope"] == "openid email profile"
        assert to_provider.headers["cache-control"] == "no-store"
        back = httpx2.get(to_provider.headers["location"]).headers["location"]

        signed_in = client.get(back)
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/docs?a=b")
        assert client.get("/docs", headers=HTML).status_code == 200
        id, kind, scopes, claims = client.get("/orders").json()
        assert (id, kind, scopes) == (f"{provider.url}|248289761001", "session", ["shop:*"])
        assert claims == {
            "provider": "acme",
            "iss": provider.url,
            "sub": "248289761001",
            "email": "ada@example.com",
            "name": "Ada Lovelace",
        }
        assert client.post("/orders", headers=OURS).json() == "ordered"
        assert client.post("/orders").status_code == 403

        assert "signed in as <strong>ada@example.com</strong>" in client.get("/sign-in").text
        assert client.post("/sign-out", headers=OURS).status_code == 303
        assert client.get("/orders").status_code == 401


def test_the_cookies_are_for_this_host_over_tls_and_for_no_script(shop: Project) -> None:
    with browser(shop) as client:
        away = client.get(START, params={"next": "/orders"})
        flow = away.headers["set-cookie"]
        assert re.fullmatch(FLOW + r"=[\w.-]+; HttpOnly; Max-Age=600; Path=/; SameSite=lax; Secure", flow)
        asked = parse_qs(urlsplit(away.headers["location"]).query)
        secret = flow.partition("=")[2].partition(".")[0]
        assert not any(secret in value for values in asked.values() for value in values)
        back = httpx2.get(away.headers["location"]).headers["location"]
        session = client.get(back).headers["set-cookie"]
        assert re.fullmatch(COOKIE + r"=opas_[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", session)


def test_the_provider_is_not_told_where_the_browser_wants_to_go(shop: Project, provider: OidcProvider) -> None:
    with browser(shop) as client:
        away = client.get(START, params={"next": "/orders?secret=4711"})
    assert "4711" not in away.headers["location"]


def test_two_tabs_sign_in_at_the_same_time(shop: Project) -> None:
    with browser(shop) as client:
        first, second = leave(client, "/orders"), leave(client, "/docs")
        assert client.get(second).headers["location"] == "/docs"
        assert client.get(first).headers["location"] == "/sign-in"


def test_an_answer_is_taken_once(shop: Project, provider: OidcProvider) -> None:
    with browser(shop) as client:
        back = leave(client)
        assert client.get(back).status_code == 303
        again = client.get(back)
        assert (again.status_code, problem_in(again)) == (403, "You could not be signed in. Begin again.")
        assert len(provider.forms) == 1
        assert client.get("/orders").status_code == 200, "whoever is signed in stays so"


def test_a_code_is_taken_once(shop: Project, provider: OidcProvider) -> None:
    with browser(shop) as client:
        used = parse_qs(urlsplit(leave(client)).query)["code"][0]
        unused = leave(client)
        assert client.get(unused).status_code == 303
        for code in (used, parse_qs(urlsplit(unused).query)["code"][0], "made up"):
            other = re.sub("code=[^&]+", f"code={code}", leave(client))
            client.cookies.delete(COOKIE) if COOKIE in client.cookies else None
            assert client.get(other).status_code == 403
            assert client.get("/orders").status_code == 401


def test_an_answer_is_for_the_browser_that_has_asked(shop: Project, provider: OidcProvider) -> None:
    """Nobody is signed in as another user by a link, and a code that was seen is of no use."""
    with browser(shop) as client:
        link = leave(client)
        planted = client.cookies[FLOW]
        client.cookies.clear()
        assert client.get(link).status_code == 403
        leave(client)
        assert client.get(link).status_code == 403
        assert client.get(link, headers={"Cookie": f"{FLOW}=x; {FLOW}={planted}"}).status_code == 403
        assert client.get(link, headers={"Cookie": f"opa-sign-in={planted}"}).status_code == 403
        assert provider.forms == []
        assert COOKIE not in client.cookies


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        ("state=[^&]+&?", ""),
        ("state=[^&]+", "state="),
        ("state=[^&]+", "state=" + "A" * 22 + ".1700000000." + "A" * 43),
        ("state=(.)", lambda found: "state=B" if found[1] == "A" else "state=A"),
        (r"state=([^&.]+)\.([0-9]+)\.", r"state=\1.1700000000."),
        ("state=([^&]+)", r"state=\1&state=\1"),
        ("code=([^&]+)", r"code=\1&code=\1"),
        ("code=[^&]+", ""),
        ("code=([^&]+)", "code=" + "A" * 5000),
        ("iss=[^&]+", "iss=https%3A%2F%2Fevil.example"),
        ("iss=([^&]+)", r"iss=\1&iss=\1"),
    ],
)
def test_an_answer_that_was_changed_is_refused(shop: Project, provider: OidcProvider, pattern: str, new: Any) -> None:
    with browser(shop) as client:
        changed = re.sub(pattern, new, leave(client))
        assert client.get(changed).status_code == 403
        assert COOKIE not in client.cookies
    assert provider.forms == []


def test_any_answer_and_any_cookie_is_refused_and_never_an_error(shop: Project, provider: OidcProvider) -> None:
    shop.settings(WRONG_ATTEMPTS_PER_ADDRESS=None)
    names = strategies.sampled_from([b"state", b"code", b"error", b"error_description", b"iss", b"next"])
    values = strategies.sampled_from([b"A" * 22 + b".1700000000." + b"A" * 43, b""]) | strategies.binary(max_size=60)
    cookies = strategies.sampled_from([f"{FLOW}={'A' * 43}.{'A' * 22}.", f"{FLOW}=;{FLOW}="]) | strategies.text(
        strategies.characters(min_codepoint=33, max_codepoint=255), max_size=60
    ).map(lambda value: f"{FLOW}={value}")

    with browser(shop) as client:

        @hypothesis.given(strategies.lists(strategies.tuples(names, values), max_size=6), cookies)
        def answered(query: list[tuple[bytes, bytes]], cookie: str) -> None:
            for path, status in ((CALLBACK, 403), (START, 303)):
                client.cookies.clear()
                answer = client.get(f"{path}?{urlencode(query)}", headers={b"Cookie": cookie.encode("latin-1")})
                assert answer.status_code == status

        answered()
        assert provider.forms == []


def test_an_answer_without_the_issuer_is_refused_where_the_provider_promises_it(
    shop: Project, provider: OidcProvider
) -> None:
    provider.document = {"authorization_response_iss_parameter_supported": True}
    with browser(shop) as client:
        assert client.get(re.sub("&iss=[^&]+", "", leave(client))).status_code == 403
        assert sign_in_with(client).status_code == 303


def test_without_iss_where_the_provider_does_not_say_it_passes(shop: Project) -> None:
    with browser(shop) as client:
        assert client.get(re.sub("&iss=[^&]+", "", leave(client))).status_code == 303


def test_an_attempt_ends_after_ten_minutes(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser(shop) as client:
        late, back = leave(client), leave(client)
        routes = sys.modules["opa.plugins.access_sessions.oidc.routes"]
        now = routes.time()
        monkeypatch.setattr(routes, "time", lambda: now + 601)
        assert client.get(late).status_code == 403
        monkeypatch.setattr(routes, "time", lambda: now + 500)
        assert client.get(back).status_code == 303


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_nothing_but_a_get_uses_an_answer_up(shop: Project, method: str) -> None:
    with browser(shop) as client:
        back = leave(client)
        assert client.request(method, back).status_code == 405
        assert client.get(back).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "/%2Fevil.example", "/\t/evil", "/ä"]
)
def test_nobody_is_sent_to_another_host(shop: Project, target: str) -> None:
    with browser(shop) as client:
        assert "evil" not in client.get("/sign-in", params={"next": target}).text
        assert sign_in_with(client, target).headers["location"] == "/sign-in"


def test_a_cookie_that_leads_elsewhere_does_not(shop: Project) -> None:
    with browser(shop) as client:
        back = leave(client, "/orders")
        secret, flow, _ = client.cookies[FLOW].split(".")
        cookie = f"{FLOW}={secret}.{flow}.Ly9ldmlsLmV4YW1wbGU"  # //evil.example
        client.cookies.clear()
        assert client.get(back, headers={"Cookie": cookie}).headers["location"] == "/sign-in"


def test_the_error_of_a_provider_stands_in_the_page_as_text(shop: Project, capsys: pytest.CaptureFixture[str]) -> None:
    evil = '"><script>alert(1)</script>\r\nfake: line'
    with browser(shop) as client:
        state = parse_qs(urlsplit(leave(client, "/orders")).query)["state"][0]
        answer = client.get(
            CALLBACK, params={"state": state, "error": "access_denied", "error_description": evil + "x" * 5000}
        )
        assert answer.status_code == 403
        assert "<script" not in answer.text
        assert "It says: access_denied: &quot;&gt;&lt;script&gt;" in problem_in(answer)
        assert len(problem_in(answer)) < 400
        assert 'href="/sign-in/acme?next=%2Forders"' in answer.text
        assert client.get(CALLBACK, params={"state": state, "error": "access_denied"}).status_code == 403
        assert client.get(leave(client)).status_code == 303, "who presses cancel has made no wrong attempt"
    lines = [line for line in "".join(capsys.readouterr()).splitlines() if "does not sign a user in" in line]
    assert len(lines) == 1
    assert "fake: line" in lines[0]


def test_made_up_attempts_fill_neither_redis_nor_the_log(
    shop: Project, redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each browser has what an attempt is made of, and anybody can begin one and say what became of it."""
    monkeypatch.setattr(attempt, "LOGGED_EVERY", 3600.0)
    with browser(shop) as client, redis.Redis.from_url(redis_url) as kept:
        before = set(kept.scan_iter("*:sign-in:*"))
        for number in range(10):
            state = parse_qs(urlsplit(leave(client)).query)["state"][0]
            answer = client.get(CALLBACK, params={"state": state, "error": f"made up {number}"})
            assert answer.status_code == 403
        assert set(kept.scan_iter("*:sign-in:*")) <= before
    assert sum("made up" in line for line in "".join(capsys.readouterr()).splitlines()) <= 2


def test_an_error_for_no_attempt_of_the_browser_is_not_shown(shop: Project) -> None:
    with browser(shop) as client:
        for state in ("", "x", "A" * 22 + ".1700000000." + "A" * 43):
            answer = client.get(CALLBACK, params={"state": state, "error": "call +1 555", "error_description": "now"})
            assert answer.status_code == 403
            assert "555" not in answer.text


def test_a_provider_that_is_busy_is_one_to_try_again(shop: Project) -> None:
    with browser(shop) as client:
        state = parse_qs(urlsplit(leave(client)).query)["state"][0]
        answer = client.get(CALLBACK, params={"state": state, "error": "temporarily_unavailable"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


def test_a_person_in_no_rule_is_refused_and_is_named_in_the_log(
    shop: Project, provider: OidcProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    with browser(shop) as client:
        for person in (
            {"email": "eve@example.com"},
            {"email_verified": False},
            {"email_verified": None},
            {"email_verified": 1},
            {"email": None},
            {"email": ["ada@example.com"]},
            {"email": "ada@example.com@evil.example"},
            {"email": "\u212ada@example.com".replace("\u212a", "\u0430")},
        ):
            provider.changed = person
            answer = sign_in_with(client)
            assert (answer.status_code, problem_in(answer)) == (
                403,
                "Acme &amp; Sons knows you, but you may not sign in here.",
            ), person
            assert COOKIE not in client.cookies
    output = "".join(capsys.readouterr())
    assert "no rule in ALLOW of the provider acme fits '248289761001', eve@example.com" in output


def test_a_session_ends_when_the_settings_do_not_let_the_person_in_any_more(
    shop: Project, provider: OidcProvider
) -> None:
    with browser(shop) as client:
        sign_in_with(client)
        session = client.cookies[COOKIE]
    entry = settings_of(provider, LABEL="Acme & Sons")
    for providers, status in (
        ({"acme": entry}, 200),
        ({"acme": {**entry, "CLIENT_SECRET": "another", "LABEL": "Acme"}}, 200),
        ({"acme": {**entry, "ALLOW": [{"EMAIL": "eve@example.com", "SCOPES": ["shop:*"]}]}}, 401),
        ({"other": entry}, 401),
        ({"acme": {**entry, "CLIENT_ID": "another"}}, 401),
    ):
        shop.settings(OIDC_PROVIDERS=providers)
        forget_sessions()
        with browser(shop) as client:
            assert client.get("/orders", headers={"Cookie": f"{COOKIE}={session}"}).status_code == status, providers


def test_users_and_providers_stand_beside_one_another(shop: Project, provider: OidcProvider) -> None:
    shop.settings(USERS=USERS)
    with browser(shop) as client:
        page = client.get("/sign-in", params={"next": "/orders"}).text
        assert '<label for="user">' in page
        assert 'href="/sign-in/acme?next=%2Forders"' in page
        wrong = sign_in(client, password="a wrong password")
        assert (wrong.status_code, 'href="/sign-in/acme"' in wrong.text) == (403, True)
        assert 'aria-invalid="true"' in wrong.text
        assert "aria-invalid" not in client.get(CALLBACK).text
        assert sign_in(client).status_code == 303
        assert client.get("/orders").json()[0] == "user:ada"
        former = client.cookies[COOKIE]
        assert sign_in_with(client).status_code == 303
        assert client.get("/orders").json()[0] == f"{provider.url}|248289761001"
        client.cookies.clear()
        assert client.get("/orders", headers={"Cookie": f"{COOKIE}={former}"}).status_code == 401


def test_an_attempt_with_one_provider_is_none_with_another(shop: Project, provider: OidcProvider) -> None:
    shop.settings(OIDC_PROVIDERS={name: settings_of(provider) for name in ("acme", "other")})
    with browser(shop) as client:
        assert client.get(leave(client).replace("/acme/", "/other/")).status_code == 403
        assert provider.forms == []
        assert sign_in_with(client, start="/sign-in/other").status_code == 303


def test_the_pages_are_open_whatever_access_says_and_nothing_below_them(shop: Project) -> None:
    shop.settings(ACCESS={"*": "admin", "/sign-in": "admin"}, ACCESS_DEFAULT="closed")
    with browser(shop) as client:
        assert sign_in_with(client).status_code == 303
        client.cookies.clear()
        for path in ("/sign-in/acme/more", "/sign-in/other", "/sign-in/acme/callback/more"):
            assert client.get(path).status_code == 401, path


def test_the_url_of_the_settings_is_where_the_provider_sends_the_browser_back(
    shop: Project, provider: OidcProvider
) -> None:
    url = f"https://www.example.com/api{CALLBACK}"
    shop.settings(OIDC_PROVIDERS={"acme": settings_of(provider, REDIRECT_URL=url)})
    with browser(shop) as client:
        back = leave(client)
        assert back.startswith(f"{url}?")
        assert client.get(back.replace("https://www.example.com/api", HOST)).status_code == 303
    assert provider.forms[0]["redirect_uri"] == url


def test_a_forged_host_is_not_believed(shop: Project) -> None:
    shop.settings(TRUSTED_HOSTS=["testserver"])
    with browser(shop) as client:
        assert client.get(START, headers={"Host": "evil.example"}).status_code == 400
        away = client.get(START, headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"})
    assert parse_qs(urlsplit(away.headers["location"]).query)["redirect_uri"] == [f"{HOST}{CALLBACK}"]


def test_the_prefix_of_a_proxy_is_kept(shop: Project) -> None:
    with shop.client(base_url=HOST, follow_redirects=False, root_path="/api") as client:
        assert 'href="/api/sign-in/acme"' in client.get("/sign-in").text
        away = client.get(START)
    assert parse_qs(urlsplit(away.headers["location"]).query)["redirect_uri"] == [f"{HOST}/api{CALLBACK}"]


def test_without_tls_nobody_signs_in(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser(shop, "http://shop.example") as client:
        monkeypatch.setenv("ENV", "production")
        for path in (START, CALLBACK, "/sign-in"):
            answer = client.get(path)
            assert (answer.status_code, "needs https" in answer.text) == (403, True)


def test_a_proxy_that_says_localhost_in_the_place_of_its_name_gives_nobody_a_session(
    shop: Project, provider: OidcProvider
) -> None:
    """As nginx does by itself. The cookie would go through the network unencrypted, and for any page of the site."""
    url = "https://shop.example/sign-in/acme/callback"
    shop.settings(OIDC_PROVIDERS={"acme": settings_of(provider, REDIRECT_URL=url)})
    with browser(shop, "http://localhost:8000") as client:
        for path in (START, f"{START}/callback?code=a&state=b"):
            refused = client.get(path)
            assert (refused.status_code, "needs https" in refused.text) == (403, True)
            assert "set-cookie" not in refused.headers


def test_many_wrong_answers_have_to_wait_and_right_ones_do_not_count(shop: Project, provider: OidcProvider) -> None:
    shop.settings(WRONG_ATTEMPTS_PER_ADDRESS=3)
    with browser(shop) as client:
        for _ in range(6):
            assert sign_in_with(client).status_code == 303
        provider.person = {"sub": "nobody"}
        for _ in range(6):
            assert sign_in_with(client).status_code == 403
        for _ in range(3):
            assert client.get(re.sub("code=[^&]+", "code=x", leave(client))).status_code in (403, 429)
        asked = len(provider.forms)
        late = client.get(leave(client))
        assert late.status_code == 429
        assert int(late.headers["retry-after"]) > 0
        assert "too many attempts" in problem_in(late)
        assert len(provider.forms) == asked


def test_no_secret_is_in_the_log(
    shop: Project, provider: OidcProvider, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shop.settings(LOGLEVEL="trace", ACCESS_LOG=True)
    tokens: list[str] = []
    provider.sign = lambda claims: tokens.append(provider.signed(claims)) or tokens[-1]  # type: ignore[func-returns-value]
    with browser(shop) as client:
        for name in ("httpx2", "httpcore2"):  # the browser's, which the application hears at trace
            caplog.set_level("WARNING", name)
        links = [leave(client) for _ in range(2)]
        flow = client.cookies[FLOW]
        client.get(links[0])
        session = client.cookies[COOKIE]
        provider.changed = {"aud": "other"}
        client.get(links[1])
        client.get(links[1])
    output = "".join(capsys.readouterr())
    assert "sessions.begin" in output
    assert "a token is for another audience" in output
    sent = [value for link in links for value in parse_qs(urlsplit(link).query).values()]
    codes_and_states = [value for values in sent for value in values if value != provider.url]
    verifiers = [form["code_verifier"] for form in provider.forms]
    for secret in (*codes_and_states, *verifiers, *tokens, flow, session, CLIENT_SECRET, "planted-access-token"):
        assert secret not in output


def test_the_code_is_not_where_the_access_log_looks_when_the_answer_begins(shop: Project) -> None:
    app, logged = shop.app(), list[str]()

    async def as_uvicorn(scope: Any, receive: Any, send: Any) -> None:
        async def logging_send(message: Any) -> None:
            if message["type"] == "http.response.start":
                logged.append(get_path_with_query_string(scope))
            await send(message)

        await app(scope, receive, logging_send)

    with TestClient(as_uvicorn, base_url=HOST, follow_redirects=False) as client:
        back = leave(client, "/orders")
        assert client.get(back).headers["location"] == "/orders"
        assert client.get(back).status_code == 403
    assert logged == [f"{START}?next=%2Forders", CALLBACK, CALLBACK]


def test_the_audit_log_has_who_signed_in_and_out(shop: Project, provider: OidcProvider) -> None:
    found: list[Any] = []
    number = logger.add(lambda message: found.append(message.record), level=0)
    try:
        with browser(shop) as client:
            sign_in_with(client)
            client.post("/sign-out", headers=OURS)
    finally:
        logger.remove(number)
    audited = [record["extra"] for record in found if record["name"] == "opa.audit"]
    who = f"{provider.url}|248289761001"
    assert [(line["what"], line["who"], line.get("email")) for line in audited] == [
        ("sessions.begin", who, "ada@example.com"),
        ("sessions.end", who, None),
    ]


def test_nothing_is_asked_of_the_provider_at_start_and_nothing_of_passwords_imported(
    shop: Project, provider: OidcProvider
) -> None:
    sys.modules.pop("opa.plugins.access_sessions.passwords", None)
    with browser(shop) as client:
        assert client.get("/sign-in").status_code == 200
        assert client.post("/sign-in", data={"user": "a", "password": "b"}, headers=OURS).status_code == 405
    assert provider.requests == []
    assert "opa.plugins.access_sessions.passwords" not in sys.modules


def test_without_a_provider_nothing_of_it_is_imported(shop: Project) -> None:
    shop.settings(USERS=USERS, OIDC_PROVIDERS={})
    forget_sessions()
    with browser(shop) as client:
        assert "acme" not in client.get("/sign-in").text
        assert client.get(START).status_code == 404
    assert not any(name.startswith("opa.plugins.access_sessions.oidc") for name in sys.modules)


def test_without_redis_the_start_says_so(shop: Project) -> None:
    shop.component("AIOREDIS", "redis-aioredis", load="no")
    with pytest.raises(OpaError, match="OIDC_PROVIDERS needs the component 'aioredis', which is not to be loaded"):
        shop.app()


def test_without_the_package_the_start_says_what_to_install(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(OpaError, match=r"joserfc, which is not installed.*pip install 'opa-stack\[jwt\]'"):
        shop.app()

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opa._util.masking.secrets import looks_secret, mask_setting, mask_text


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://user:pw@host:6379/0", "redis://user:***@host:6379/0"),
        ("redis://:pw@host", "redis://:***@host"),
        ("mongodb://u:pw@a:1,b:2/db?authSource=admin", "mongodb://u:***@a:1,b:2/db?authSource=admin"),
        ("mongodb+srv://u:pw@cluster.example", "mongodb+srv://u:***@cluster.example"),
        ("pyamqp://guest:pw@rabbitmq//", "pyamqp://guest:***@rabbitmq//"),
        ("amqp://u:pw@[::1]:5672/v", "amqp://u:***@[::1]:5672/v"),
        # characters that should have been encoded
        ("redis://:p@ss@host", "redis://:***@host"),
        ("redis://:p:ss@host", "redis://:***@host"),
        ("redis://:p@s/s@host", "redis://:***@host"),
        ("redis://:p/ss@host/0", "redis://:***@host/0"),
        ("redis://:p#s?s@host", "redis://:***@host"),
        ("redis://u:80x/@host", "redis://u:***@host"),
        ("redis://:p%40ss@host", "redis://:***@host"),
        ("redis://:p://ss@host", "redis://:***@host"),
        ("redis://:p,://ss@host", "redis://:***@host"),
        # blanks in it
        ("redis://:my pw@host:1/0", "redis://:***@host:1/0"),
        ("no way to amqp://user:my\tlong\npw@host/0, giving up", "no way to amqp://user:***@host/0, giving up"),
        ("{'URL': 'redis://:my pw@host', 'a': 1}", "{'URL': 'redis://:***@host', 'a': 1}"),
        # what looks like a port and a path
        ("redis://user:123456/pw@host", "redis://user:***@host"),
        ("redis://user:80/pw@host", "redis://user:***@host"),
        ("redis://:5/pw@host/0", "redis://:***@host/0"),
        ("redis://us/er:pw@host", "redis://us/er:***@host"),
        ("https://user:123456/pw@host", "https://user:***@host"),
        ("https://:80/pw@host", "https://:***@host"),
        # several
        ("redis://:a@x;redis://:b@y", "redis://:***@x;redis://:***@y"),
        ("redis://:a@x,redis://:b@y", "redis://:***@x,redis://:***@y"),
        ("http://proxy/http://u:pw@host", "http://proxy/http://u:***@host"),
        # query parameters
        ("https://host/?token=abc&page=2", "https://host/?token=***&page=2"),
        ("https://host/?a=1;Password=abc#x", "https://host/?a=1;Password=***#x"),
        ("https://host/#access_token=abc", "https://host/#access_token=***"),
        ("https://host/?pass%77ord=abc", "https://host/?pass%77ord=***"),
        ("redis://host?password=abc;redis://other", "redis://host?password=***;redis://other"),
        ("redis://host?password=abc,redis://:pw@other", "redis://host?password=***,redis://:***@other"),
        ("mongodb://host/?tlsCertificateKeyFilePassword=abc", "mongodb://host/?tlsCertificateKeyFilePassword=***"),
        # no URL
        ("host=db password=abc user=me", "host=db password=*** user=me"),
        ("Server=db;Pwd=abc;Database=x", "Server=db;Pwd=***;Database=x"),
        ("Server=db;Pwd={a}}b;c'd};Database=x", "Server=db;Pwd=***;Database=x"),
        ("password={'a': {'b': 'c'}}, page={'a': 1}", "password=***, page={'a': 1}"),
        ("password=a&bc host=db", "password=*** host=db"),
        ("password=a,bc host=db", "password=*** host=db"),
        ("password=a;b#c host=db", "password=*** host=db"),
        ("password=#a host=db", "password=*** host=db"),
        ("password: a1b2c3,d4; it is", "password: ***; it is"),
        ("mysql --password a&b,c --user me", "mysql --password *** --user me"),
        ("a=1&password=b&c=2", "a=1&password=***&c=2"),
        ("f(password=a,user='me', page=2)", "f(password=***,user='me', page=2)"),
        ("password=a,redis://host", "password=***,redis://host"),
        ("cannot connect to 'redis://:pw@host', giving up", "cannot connect to 'redis://:***@host', giving up"),
        ("{'URL': 'redis://:pw@host', 'PASSWORD': 'abc d'}", "{'URL': 'redis://:***@host', 'PASSWORD': '***'}"),
        ('{"api_token": "a\\"bc", "page": "2"}', '{"api_token": "***", "page": "2"}'),
    ],
)
def test_a_password_is_masked_and_nothing_else(url: str, masked: str) -> None:
    assert mask_text(url) == masked
    assert mask_text(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "redis://redis",
        "redis://redis:6379/0",
        "pyamqp://guest@rabbitmq//",
        "redis://default:@host",
        "http://host:80/a@b",
        "http://[::1]:80/a@b",
        "https://host/~user:1/a",
        "mail a:b@c",
        "a key = b, keys: ['x']",
        "sort=name&page=2",
        "12:30:45",
        "https://host/?monkey=1&keyword=x",
        "://",
        "x://@",
        "redis://host:6379/0 is down, mail ops@example.com",
        "see http://host:8080 or mail mary@example.com",
        "redis://host: refused, ask mary@example.com",
        "redis://host:6379: refused, ask mary@example.com",
        "redis://host:6379, user mary@example.com",
        "redis://host is down (mary@example.com)",
        "redis://host:6379/0,mary@example.com",
        "amqp://host:5672/v?name=me@example.com",
        "http://registry:4873/@scope/package",
        "docker://registry.example/image:1@sha256:ab",
        "PASSWORD=&PAGE=2",
    ],
)
def test_a_text_without_a_password_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    ("error", "masked"),
    [
        (
            "{'type': 'int', 'loc': ('response', 'api_key'), 'msg': 'bad', 'input': 'hunter2'}",
            "{'type': 'int', 'loc': ('response', 'api_key'), 'msg': 'bad', 'input': '***'}",
        ),
        (
            "[{'loc': ('pin', 0), 'input': [1, 'hunter2'], 'ctx': {'gt': 1}}]",
            "[{'loc': ('pin', 0), 'input': ***, 'ctx': {'gt': 1}}]",
        ),
        ("[{'loc': ('pin',), 'input': Pin(value='hunter2')}]", "[{'loc': ('pin',), 'input': ***}]"),
        ("[{'loc': ('pin',), 'input': <Pin hunter2>}]", "[{'loc': ('pin',), 'input': ***}]"),
        ("[{'loc': ('pin',), 'input': 4711, 'url': ''}]", "[{'loc': ('pin',), 'input': ***, 'url': ''}]"),
        ('[{"loc":["pin"],"msg":"bad","input":"hunter2"}]', '[{"loc":["pin"],"msg":"bad","input":"***"}]'),
        (
            r'{"body": "[{\"loc\":[\"pin\"],\"input\":\"hunter2\"}]"}',
            r'{"body": "[{\"loc\":[\"pin\"],\"input\":\"***\"}]"}',
        ),
    ],
)
def test_the_value_that_an_error_of_pydantic_shows_is_masked(error: str, masked: str) -> None:
    assert mask_text(error) == masked
    assert mask_text(masked) == masked


def test_a_setting_that_is_a_url_has_its_password_to_the_last_at() -> None:
    assert mask_setting("URL", "redis://user:5 my@pw and more@host:1/0") == "redis://user:***@host:1/0"
    assert mask_setting("ABOUT", "http://host:80/ or mary@example.com") == "http://host:80/ or mary@example.com"


words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
hosts = words.map(lambda word: f"h{word}.example")


passwords = st.text(st.sampled_from("abcXYZ019:/@?#%&=+!$.-_,;'\"[]{}()"), min_size=1)


# After a separator "a://" in a password cannot be told from another URL.
@given(password=passwords.filter(lambda password: "://" not in password), user=words, host=hosts)
def test_no_part_of_a_password_gets_through_whatever_is_in_it(password: str, user: str, host: str) -> None:
    assert mask_text(f"redis://{user}:x{password}@{host}/0") == f"redis://{user}:***@{host}/0"
    assert mask_text(f"broken: redis://:x{password}@{host}, {host}") == f"broken: redis://:***@{host}, {host}"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "redis://" + "a" * 500_000,
        "a://:" * 100_000,
        "a://" * 100_000,
        "?" * 250_000 + "x://" + "?" * 250_000,
        "x://y" + "&a" * 250_000,
        "password" * 60_000,
        "x://" + "a:b@" * 100_000,
        "a= " * 150_000,
        "'a': '" * 80_000,
        "'a': " * 100_000,
        "'password': '\\" * 40_000,
        "a" + " " * 500_000,
    ],
)
def test_a_long_text_takes_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    mask_text(text)

    # A quadratic pattern takes minutes here.
    assert time.process_time() - started < 5


NEAR_MISSES = [
    "ghp_",
    "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaa ",
    "eyJ",
    "eyJaaaaaaaaaaaa.",
    "eyJaaaaaaaaaaaa.a. eyJ",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY----",
    "$2b$",
    "$argon2id$a",
    "12345678:AA",
    "0123456789abcdef" * 2 + "-us",
    "aQ~",
    "hooks.slack.com/services",
    "sk-ant-aaaa ",
    "token ",
    "token: ",
    "token : ",
    "token=(",
    "token=(\n",
    "'token', \"x",
    "token: ['",
    "token: [\n'",
    'token: {\\"a": ',
    "token='",
    "token=\\'",
    "'token': [",
    "'token': {'",
    "'token', ",
    '\\"token\\": ',
    "--token ",
    "--token '",
    "password==",
    "password :",
    "api key ",
    "bearer ",
    "basic aaaaaaa ",
    "basic aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=",
    "authorization: ",
    "authorization: bearer\n",
    "cookie: ",
    "x-api-key: aaaaaa ",
    "x-api-key: aaaaaa          ",
    "cookie:a\n",
    "input_value=",
    "input_value=a, input_type",
    "'loc': 'input': ",
    "'loc': 'input': '",
    "'loc': 'input': [",
    "'loc': 'input': <",
    "redis://a:b ",
    "redis://a:b c",
    "redis://:",
    "password={",
    "password={a}} ",
    "password=,",
    "password=a,",
    "?token",
    "?a=",
    "x://token:",
    "\\",
    '\\"',
    "'",
    "' token",
    "a.",
    "a-b_",
    "key ",
]


@pytest.mark.parametrize("part", NEAR_MISSES)
def test_many_near_misses_take_no_more_than_their_length(part: str) -> None:
    def seconds(length: int) -> float:
        text = part * (length // len(part))
        started = time.thread_time()
        mask_text(f"{text} token")
        return time.thread_time() - started

    few = min(seconds(5_000) for _ in range(3))
    # Twenty times the length: where the time grew with its square it would be 400 times as much.
    assert seconds(100_000) < 120 * max(few, 0.0002)


def test_a_megabyte_of_all_of_them_takes_no_more_than_its_length() -> None:
    def seconds(length: int) -> float:
        text = "".join(part * (length // len(part) // len(NEAR_MISSES)) for part in NEAR_MISSES)
        started = time.thread_time()
        mask_text(text)
        return time.thread_time() - started

    assert seconds(1_000_000) < 200 * seconds(25_000)


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "PASSWORD",
        "DB_PASSWORD",
        "DBPASSWD",
        "password",
        "apiToken",
        "API_KEY",
        "APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "SENTRY_DSN",
        "PRIVATE_KEY",
        "CREDENTIALS",
        "OPTIONAL_COMPONENTS.X.OPTS.PASSWORD",
        "TOKENS.github",
        "PWD",
        "keys",
    ],
)
def test_names_that_say_so_are_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "PLUGIN_PATHS",
        "PLUGIN_WHITELIST_TAGS",
        "ALLOW_CREDENTIALS",
        "PROJECT_NAME",
        "KEYWORD",
        "MONKEY",
        "KEYSPACE",
        "PORT",
        "AUTHOR",
        "PASSENGERS",
        "COMPASS",
        "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL",
        "authSource",
        "DESIGNATION",
        "URL",
        "",
    ],
)
def test_a_name_that_only_resembles_a_telling_one_hides_nothing(name: str) -> None:
    assert not looks_secret(name)


def test_a_setting_is_masked_wherever_a_name_says_so() -> None:
    value = {
        "URL": "redis://:pw@host",
        "PASSWORD": "pw",
        "number": 1,
        "TOKENS": ["a", {"b": "c"}],
        "urls": ["redis://:pw@a", "redis://b"],
        "deep": {"API_KEY": 12, "name": "x"},
        "empty": {"SECRET": "", "TOKEN": None, "HAS_TOKEN": True},
    }

    assert mask_setting("THING", value) == {
        "URL": "redis://:***@host",
        "PASSWORD": "***",
        "number": 1,
        "TOKENS": ["***", {"b": "***"}],
        "urls": ["redis://:***@a", "redis://b"],
        "deep": {"API_KEY": "***", "name": "x"},
        "empty": {"SECRET": "", "TOKEN": None, "HAS_TOKEN": True},
    }
    assert value["PASSWORD"] == "pw"


def test_everything_inside_a_secret_is_secret() -> None:
    assert mask_setting("CREDENTIALS", {"user": "me", "list": ("a", 1)}) == {"user": "***", "list": ["***", "***"]}


def test_a_value_of_another_type_stays_as_it_is() -> None:
    marker = object()

    assert mask_setting("THING", marker) is marker
    assert mask_setting("SECRET", marker) == "***"


def test_a_setting_that_is_an_object_is_shown_by_its_fields_with_secrets_masked() -> None:
    from dataclasses import dataclass
    from typing import NamedTuple

    from pydantic import BaseModel

    @dataclass
    class Smtp:
        host: str
        password: str
        again: object = None

    class Login(NamedTuple):
        user: str
        token: str

    class Mail(BaseModel):
        smtp: Smtp
        api_key: str

    class Plain:
        def __str__(self) -> str:
            return "Plain(password='hunter2')"

    smtp = Smtp("mail", "hunter2")
    shown = {"host": "mail", "password": "***", "again": None}
    assert mask_setting("MAIL", smtp) == shown
    assert mask_setting("MAILS", [smtp]) == [shown]
    assert mask_setting("LOGIN", Login("ada", "hunter2")) == {"user": "ada", "token": "***"}
    assert mask_setting("MAIL", Mail(smtp=smtp, api_key="hunter2")) == {"smtp": shown, "api_key": "***"}
    assert "hunter2" not in str(mask_setting("PLAIN", Plain()))
    assert mask_setting("KIND", Smtp) is Smtp
    smtp.again = smtp
    assert "hunter2" not in str(mask_setting("MAIL", smtp))

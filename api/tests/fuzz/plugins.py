"""The parsers of what plugins, tasks, commands and the log have: metadata, URIs, filters, schedules, rates, secrets."""

from __future__ import annotations

import atexit
import json
import shutil
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import typer

from opa._util.hosts import hosts_in_url
from opa._util.import_strings import UriError, resolve
from opa._util.masking.secrets import MASK, mask_setting, mask_text, masked
from opa._util.printable import in_one_line, indented, json_text
from opa._util.rates import MAX_AMOUNT, MAX_SECONDS, rates_in
from opa.access.audit import entry_of
from opa.cli.audit import _entry as entry_in_redis
from opa.commands.durations import duration
from opa.errors import FilterError, MetadataError
from opa.loading.discover import PluginFile
from opa.loading.filters import PluginFilters, decide
from opa.loading.metadata import Metadata, read_metadata
from opa.loading.order import unmet
from opa.plugins.access_keys.records import KeyRecord
from opa.redis_clients.urls import with_certificate_check
from opa.tasks.passwords import with_password
from opa.tasks.schedules import parse_entries, parse_schedule
from opa.tasks.setting_keys import with_keys_of_celery
from tests.fuzz.inputs import Choices
from tests.fuzz.parser import Parser


@cache
def folder() -> Path:
    """One for files, for as long as this process is there."""
    made = mkdtemp(prefix="opa-fuzz-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


METADATA = ("tags", "name", "version", "description", "requires", "opa", "packages", "else")
METADATA_PARTS = (
    "shop",
    "pip",
    ">=",
    "<",
    "==",
    "1",
    ".0",
    ",",
    "rc1",
    "; python_version > '3'",
    "[x]",
    " ",
    "extra == 'x'",
)


def _metadata(choices: Choices) -> tuple[str, str]:
    values = choices.mapping(METADATA, METADATA_PARTS, 1)
    for key in ("requires", "packages", "tags"):
        if key in values and not choices.is_rare():
            values[key] = [choices.text(METADATA_PARTS, 5) for _ in range(choices.below(3))]
    text = json.dumps(values)
    if choices.is_rare():
        return "meta.json", text[: choices.below(len(text) + 1)] + choices.text(("{", "]", ",", '"', "[" * 60), 3)
    if choices.is_rare():
        lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        return "pyproject.toml", f"[tool.opa]\n{lines}\n" + choices.text(("[tool]", "=", "\n", "x = 1", "opa = 1"), 3)
    return "meta.json", text


def _read_metadata(given: tuple[str, str]) -> None:
    name, text = given
    for other in ("meta.json", "pyproject.toml"):
        (folder() / other).unlink(missing_ok=True)
    (folder() / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        metadata = read_metadata(folder())
    except MetadataError as error:
        assert name in str(error)  # noqa: PT017 - both ends are right
        assert len(str(error)) < 3000  # noqa: PT017 - both ends are right
        return
    unmet(_plugin("fuzzed", metadata), {"shop": _plugin("shop", Metadata())})


def _plugin(name: str, metadata: Metadata) -> PluginFile:
    return PluginFile(name, Path("/plugins"), Path(f"/plugins/{name}.py"), False, name, metadata)


URI_PARTS = (
    "json",
    ".",
    ":",
    "loads",
    "decoder",
    "JSONDecoder",
    "__doc__",
    "tests",
    "fuzz",
    "os",
    "path",
    "..",
    "_",
    "0",
)


def _uri(uri: str) -> None:
    with suppress(UriError):
        resolve(uri)


PLUGINS = [_plugin(name, Metadata(tags=frozenset(tags))) for name, tags in (("shop", ["a", "b"]), ("a" * 20, []))]
EXPRESSION_PARTS = (
    *(
        "a",
        "shop",
        ".",
        "*",
        "+",
        "?",
        "|",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "^",
        "$",
        "\\",
        "\\d",
        "\\b",
        "(?:",
        "(?P<a>",
    ),
    *(
        "(?=",
        "(?<!",
        "(?i)",
        "(?P=a)",
        "{2}",
        "{,3}",
        "{9999999999}",
        "[^",
        "a-z",
        "*+",
        "(?>",
        "(?#",
        "\\1",
        "\\N{DIGIT ONE}",
    ),
)


def _filters(choices: Choices) -> PluginFilters:
    paths = frozenset(choices.text(("/plugins/", "shop", "./", "~", ","), 3) for _ in range(choices.below(2)))
    tags = frozenset(choices.text(("a", "b", " "), 2) for _ in range(choices.below(2)))
    expression = choices.text(EXPRESSION_PARTS)
    if choices.below(2):
        return PluginFilters(whitelist_re=expression, whitelist_tags=tags, blacklist_list=paths)
    return PluginFilters(blacklist_re=expression, blacklist_tags=tags, whitelist_list=paths)


def _decide(filters: PluginFilters) -> None:
    try:
        decide(PLUGINS, filters)
    except FilterError as error:
        assert "\n" not in in_one_line(str(error))  # noqa: PT017 - both ends are right
        assert len(str(error)) < 1000  # noqa: PT017 - both ends are right


CRON_PARTS = (
    "* ",
    "*",
    "*/",
    "/",
    "5",
    " ",
    "1-5",
    "-",
    ",",
    "mon",
    "sun",
    "jan",
    "60",
    "0",
    "7 ",
    "31 ",
    "* * * ",
    "@daily",
)
ENTRY_KEYS = ("task", "schedule", "args", "kwargs", "options", "relative", "TASK", "SCHEDULE", "else")


def _schedule(choices: Choices) -> Any:
    if choices.below(2):
        return choices.text(CRON_PARTS)
    return choices.one_of((timedelta(seconds=choices.below(9) - 4), choices.value(CRON_PARTS)))


def _entries(choices: Choices) -> Any:
    names = ("shop.bill", "SHOP.BILL", "shop", "x")
    entries = {choices.one_of(names): choices.mapping(ENTRY_KEYS, (*CRON_PARTS, "shop.bill"), 1) for _ in range(2)}
    return entries if not choices.is_rare() else choices.mapping(names, CRON_PARTS)


def _bill(order: int = 1, *, urgent: bool = False) -> None:
    """A task."""


def _parse_entries(entries: Any) -> None:
    with suppress(ValueError):
        parse_entries(entries, {"shop.bill": _bill}, {"shop.bill": {"task": "shop.bill", "schedule": 5}})


def _suppressed(value: Any) -> None:
    with suppress(ValueError):
        parse_schedule(value)


def _rates(text: Any) -> None:
    with suppress(ValueError):
        for rate in rates_in(text):
            assert 1 <= rate.amount <= MAX_AMOUNT
            assert 1 <= rate.seconds <= MAX_SECONDS


def _duration(text: str) -> None:
    with suppress(typer.BadParameter):
        assert timedelta() <= duration(text, "--since") <= timedelta(days=36_500)


URL_PARTS = (
    *(
        "redis://",
        "rediss://",
        "mongodb+srv://",
        "amqp://",
        "sentinel://",
        "unix://",
        ":",
        "@",
        "/",
        "?",
        "&",
        "[",
        "]",
    ),
    *("::1", "host", "a,b", ";", "6379", "hunter22", "ssl_cert_reqs=", "required", "CERT_NONE", "%40", "#", "\u2100"),
)


def _url(url: str) -> None:
    for read in (hosts_in_url, with_certificate_check, lambda text: with_password(text, "pass/word", "PASSWORD")):
        try:
            read(url)
        except ValueError as error:
            assert "hunter22" not in str(error)  # noqa: PT017 - both ends are right
            assert error.__cause__ is None  # noqa: PT017 - both ends are right


SETTING_NAMES = ("task_routes", "task_annotations", "broker_transport_options", "beat_schedule", "task_queues", "else")


def _celery(choices: Choices) -> tuple[str, Any]:
    keys = ("QUEUE", "queue", "ROUTING_KEY", "RATE_LIMIT", "MASTER_NAME", "PRIORITY_STEPS", "shop.bill", "*")
    return choices.one_of(SETTING_NAMES), choices.mapping(keys, keys) if choices.below(4) else choices.value(keys)


SECRET = "q7Rk2Vx9Lm4Tz8Wb3Nc6"
TEXT_PARTS = (
    *(
        "password=",
        "api_key: ",
        "token",
        '"',
        "'",
        "{",
        "}",
        "(",
        ")",
        ", ",
        ": ",
        "Bearer ",
        "Authorization",
        "://",
        "@",
    ),
    *(
        "\\",
        '\\"',
        "&",
        "?",
        ";",
        " is ",
        "input_value=",
        "<",
        ">",
        "eyJ",
        "ghp_",
        "-----BEGIN",
        "%61",
        "redis",
        "=",
        "\n",
    ),
)
SECRET_LINES = (
    f"\npassword={SECRET}\n",
    f"\nredis://user:{SECRET}@cache:6379/0\n",
    f'\n{{"api_key": "{SECRET}"}}\n',
    f"\nAuthorization: Bearer {SECRET}\n",
    f"\nopa_{SECRET * 3}x\n",
)


def _log_text(choices: Choices) -> tuple[str, str, str]:
    # Before and behind it stand lines of their own: what is in quotes may well go on in the next line.
    return choices.text(TEXT_PARTS, 12), choices.one_of(SECRET_LINES), choices.text(TEXT_PARTS, 12)


def _mask_text(given: tuple[str, str, str]) -> None:
    text = "".join(given)
    mask_text(text)
    for shown in (in_one_line(text), indented(text), json_text(text)):
        shown.encode()
    assert SECRET not in mask_text(given[1])


def _values(choices: Choices) -> Any:
    keys = ("password", "api_key", "name", "URL", "Authorization", "loc", "input", "opts", "token_count")
    value: Any = choices.mapping(keys, TEXT_PARTS)
    if choices.is_rare():
        value = [
            value,
            (choices.one_of(keys), choices.text(TEXT_PARTS)),
            choices.text(TEXT_PARTS).encode("utf-8", "replace"),
        ]
    return {"value": value, "password": SECRET, choices.one_of(("token", "api_key", "MY_SECRET")): [SECRET]}


def _mask_values(value: Any) -> None:
    for shown in (masked(value), mask_setting("SETTING", value)):
        assert SECRET not in repr(shown)
        assert MASK in repr(shown)


def _audit(choices: Choices) -> dict[str, Any]:
    keys = ("who", "what", "when", "from", "order", "api_key", "name", "scopes")
    return {key: value for key, value in choices.mapping(keys, TEXT_PARTS).items() if key not in ("who", "what")}


def _write_entry(fields: dict[str, Any]) -> None:
    text = json.dumps(entry_of("shop.bill", "anna", fields=fields | {"password": SECRET}))
    assert SECRET not in text
    assert entry_in_redis({b"entry": text.encode()})["what"] == "shop.bill"


def _stream(choices: Choices) -> dict[Any, Any]:
    text = choices.text(('{"what":', '"x"', "}", "[", ",", "null", "[" * 1200), 6).encode("utf-8", "replace")
    return {choices.one_of((b"entry", "entry", b"other")): choices.one_of((text, text.decode("utf-8", "replace")))}


RECORD_KEYS = ("ID", "HASH", "SCOPES", "CREATED", "EXPIRES", "FORMER_HASH", "FORMER_UNTIL")
RECORD_PARTS = ("2027-01-31", "T12:00:00Z", "never", "sha256:", "a" * 64, "shop:use", "+99:99", "x" * 12, "0001-01-01")


def _record(choices: Choices) -> dict[str, Any]:
    whole = {"ID": "x" * 12, "HASH": "sha256:x", "SCOPES": ["a"], "CREATED": "2027-01-31", "EXPIRES": "never"}
    return (whole if choices.below(4) else {}) | choices.mapping(RECORD_KEYS, RECORD_PARTS, 1)


def _read_record(given: dict[str, Any]) -> None:
    with suppress(ValueError, TypeError, KeyError):
        record = KeyRecord.from_mapping("name", given)
        record.end_of("sha256:x")
        record.as_mapping()


PARSERS = [
    Parser("metadata of plugins", _metadata, _read_metadata),
    Parser("URIs", lambda choices: choices.text(URI_PARTS), _uri),
    Parser("filters", _filters, _decide),
    Parser("schedules", _schedule, _suppressed),
    Parser("entries of a schedule", _entries, _parse_entries),
    Parser(
        "rates", lambda choices: choices.text(("100", "/", "per ", "minute", "s", ";", ",", " ", "5", "day")), _rates
    ),
    Parser("durations", lambda choices: choices.text(("9", "90", "d", "h", "s", "w", "-", "0"), 5), _duration),
    Parser("URLs of components", lambda choices: choices.text(URL_PARTS), _url),
    Parser("settings of Celery", _celery, lambda given: with_keys_of_celery(*given)),
    Parser("secrets in texts", _log_text, _mask_text),
    Parser("secrets in values", _values, _mask_values),
    Parser("entries of the audit log", _audit, _write_entry),
    Parser("entries of others in the audit log", _stream, entry_in_redis),
    Parser("records of API keys", _record, _read_record),
]
"""Those of what plugins, tasks, commands and the log have."""

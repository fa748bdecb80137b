"""The parsers of settings: variables, files, and what each known setting may hold."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from typing import Any
from unittest import mock

from pydantic import BaseModel, ValidationError, create_model

from opa._util.masking.secrets import mask_text
from opa.current import current
from opa.errors import SettingsError
from opa.http.access.rules import Rules as AccessRules
from opa.http.rate_limits.rules import Rules as LimitRules
from opa.settings import access as settings_access
from opa.settings import hosts, users, validation
from opa.settings.access_keys import AccessKey
from opa.settings.ambiguous import in_variable, in_yaml
from opa.settings.files import read_sections
from opa.settings.jwt_issuers import JwtIssuer
from opa.settings.load import load_settings
from opa.settings.merge import MergedSettings
from opa.settings.oidc_providers import OidcProvider, SignInRule
from opa.settings.plain import plain_settings
from opa.settings.rate_limits import RateLimitRule
from opa.settings.schema import Settings
from opa.settings.service_links import service_links
from opa.settings.sources import Layer
from opa.settings.users import User
from opa.settings.value_files import ValueFileError, read_value
from opa.settings.variables import read_variables
from tests.fuzz.inputs import Choices
from tests.fuzz.parser import Parser
from tests.fuzz.plugins import SECRET, folder

NAMES = tuple(Settings.model_fields)
VALUE_PARTS = (
    *(
        "@json ",
        "@int ",
        "@float ",
        "@bool ",
        "@merge ",
        "@insert ",
        "@reset ",
        "@del",
        "@none",
        "@format ",
        "@read_file ",
    ),
    *(
        "{this.current_env}",
        "{env[HOME]}",
        "dynaconf_merge",
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        "=",
        ",",
        " ",
        "true",
        "1",
        "x",
    ),
    *(
        "redis://",
        "null",
        "yes",
        "2027-01-31",
        "12:00",
        "100/minute",
        "shop:use",
        "/shop",
        "*",
        "sha256:",
        "$argon2id$",
        "\udcff",
    ),
)
INNER_NAMES = (
    "",
    "__URL",
    "__OPTS__URL",
    "__a__B",
    "__0",
    "__",
    "__FILE",
    "___",
    "__X__FILE",
    ".a",
    "__DYNACONF_MERGE",
)


def _variables(choices: Choices) -> dict[str, str]:
    names = (*NAMES[::5], "MINE", "PLUGIN_SETTINGS", "OPTIONAL_COMPONENTS__REDIS", "CELERY_TASK_ROUTES", "PTVSD", "OPA")
    given = {
        f"OPA_{choices.one_of(names)}{choices.one_of(INNER_NAMES)}": choices.text(VALUE_PARTS, 5)
        for _ in range(1 + choices.below(2))
    }
    # As the system has them: no NUL, and bytes that are no UTF-8 as halves of characters.
    return {name: text.replace("\0", "").replace("\ud800", "\udcff") for name, text in given.items()}


def _read(given: dict[str, str]) -> None:
    with mock.patch.dict(os.environ, given), nothing_hidden():
        found = read_variables()
    if plain_settings([], found.found) is None:
        _merged([Layer(each.source, {each.name: each.text}) for each in found.found])
    for each in found.found:
        list(in_variable(each.name, each.text, each.source))


@contextmanager
def nothing_hidden() -> Iterator[None]:
    """Forget in the end what files had: it would be looked for in every text from then on."""
    with mock.patch.object(current, "hidden_texts", ()):
        yield


ROUNDS = itertools.count()


@lru_cache(1)
def merged_of(_rounds: int) -> MergedSettings:
    """One for some inputs, each of which finds what the last ones have left: a new one costs more than all else."""
    return MergedSettings()


def _merged(layers: list[Layer]) -> None:
    merged = merged_of(next(ROUNDS) // 10)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="dynaconf")  # as where they are loaded
        for layer in layers:
            merged.add(layer)
        merged.values()
    for mistake in merged.mistakes.values():
        assert "\n" not in mistake


def _load(given: dict[str, str]) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPA_") and name != "ENV"}
    with (
        mock.patch.dict(os.environ, environ | given | {"OPA_SETTINGS_DIR": str(folder())}, clear=True),
        nothing_hidden(),
    ):
        try:
            load_settings()
        except SettingsError as error:
            assert error.mistakes  # noqa: PT017 - both ends are right
            assert all(len(mistake) < 3000 for mistake in error.mistakes)  # noqa: PT017 - both ends are right


KINDS = {
    ".yaml": (
        "default:",
        "\n",
        "  ",
        "a: ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "|",
        ">",
        "{",
        "}",
        "'",
        "---",
        "2020-99-99",
    ),
    ".json": ('{"default":', "{", "}", '"a"', ":", ",", "[", "]", "NaN", "1e999", "[" * 60, "\\ud800", "1"),
    ".toml": ("[default]", "\n", "a", " = ", "1", "'", '"""', "[[", "]]", "{", "}", "2020-99-99", ".", ",", "x.y"),
    ".ini": ("[default]", "\n", "a", " = ", "[[b]]", "'''", "%(a)s", "#", ",", "[", "]", "x"),
    ".py": (
        "A",
        " = ",
        "1",
        "\n",
        "(",
        ")",
        "[",
        "import nothing",
        "'",
        "from . import b",
        "raise",
        "  ",
        ":",
        "# coding: x",
    ),
}


def _file(choices: Choices) -> tuple[str, str]:
    kind = choices.one_of(list(KINDS))
    return kind, choices.text(KINDS[kind], 16)


def _read_file(given: tuple[str, str]) -> None:
    kind, text = given
    file = folder() / f"fuzzed{kind}"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        sections = read_sections(file)
    except SettingsError as error:
        assert str(file) in str(error)  # noqa: PT017 - both ends are right
        assert "\n" not in str(error)  # noqa: PT017 - both ends are right
        return
    finally:
        file.unlink()
    if kind == ".yaml":
        list(in_yaml(text, file))
    values = sections.get("default")
    if isinstance(values, dict):
        _merged([Layer(str(file), {str(key): value for key, value in values.items()})])


def _value(choices: Choices) -> tuple[str, Any]:
    return NAMES[choices.below(len(NAMES))], choices.value(VALUE_PARTS)


def _check(given: tuple[str, Any]) -> None:
    name, value = given
    try:
        model_of(name)(**{name: value})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            mistake = validation._mistake(detail, {(name,): "file x"})
            assert mistake.startswith(name)
            mistake.encode("utf-8", "surrogatepass")


@cache
def model_of(name: str) -> type[BaseModel]:
    """That of this setting alone."""
    field = Settings.model_fields[name]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model("Given", **fields)


def _of_model(model: type[Any], parts: tuple[str, ...]) -> tuple[Any, Any]:
    keys = tuple(model.model_fields)

    def parse(value: Any) -> None:
        with suppress(ValidationError):
            model.model_validate(value)

    return lambda choices: choices.mapping((*keys, *keys, "else"), parts, 1), parse


KEY = _of_model(
    AccessKey, ("x" * 12, "sha256:", "a" * 64, "2027-01-31", "T12:00Z", "never", "shop:use", ",", " ", "NEVER")
)
ISSUER = _of_model(
    JwtIssuer,
    ("https://", "http://", "localhost", "login.example.com", "[", "]", ":99", "@", "HS256", "RS256", "x" * 32),
)
USER = _of_model(User, ("$argon2id$v=19$m=", "65536", ",t=3,p=4$", "a" * 22, "$", "a" * 43, "shop:use", ","))
PROVIDER_KEYS = tuple(OidcProvider.model_fields)
RULE_KEYS = (*SignInRule.model_fields, "email", "else")
PROVIDER_PARTS = ("https://", "login.example.com", "@", "example.com", "openid", "email", ",", "/", "*", "\udcff", "x")


def _provider(choices: Choices) -> dict[str, Any]:
    provider = choices.mapping((*PROVIDER_KEYS, "else"), PROVIDER_PARTS, 1)
    if choices.below(4):
        provider["ALLOW"] = [choices.mapping(RULE_KEYS, PROVIDER_PARTS, 1) for _ in range(choices.below(3))]
    return provider


def _read_provider(provider: dict[str, Any]) -> None:
    with suppress(ValidationError):
        OidcProvider.model_validate(provider)


LIMIT = _of_model(RateLimitRule, ("100", "/", "minute", "unlimited", ";", "actor", "ADDRESS", "plugin"))
ACCESS_PARTS = ("/", "shop", "*", "open", "signed-in", "closed", "shop:use", "{x}", "..", "%2e", "?", "#", "\\", ",")


def _access(choices: Choices) -> dict[str, Any]:
    values = (choices.text(ACCESS_PARTS, 2), [choices.text(ACCESS_PARTS, 2) for _ in range(choices.below(3))], "open")
    return {choices.text(ACCESS_PARTS, 4): choices.one_of(values) for _ in range(choices.below(4))}


def _rules(setting: dict[str, Any]) -> None:
    with suppress(ValueError):
        rules = AccessRules(settings_access.access(setting), "closed")
        rules.for_request("/shop/x", lambda: {"shop"})
    limits = {key: {"LIMIT": "1/second", "BY": "actor"} for key in setting}
    LimitRules(limits).for_request("/shop/x", lambda: {"shop"})


HOST_PARTS = (
    "https://",
    "HTTP://",
    "example",
    ".com",
    "*",
    "*.",
    ":",
    "443",
    "[",
    "::1",
    "]",
    "@",
    "/",
    "127.0.0.1",
    ".",
    "-",
    "é",
)


def _hosts(text: str) -> None:
    reads = (lambda: hosts.origins([text]), lambda: hosts.hosts([text]), lambda: hosts.listened_on(text))
    for read in (*reads, lambda: users.page_path(text), lambda: users.password_hash(text)):
        with suppress(ValueError):
            read()


LINK_NAMES = ("SHOP", "_PORT", "_80", "_TCP", "_UDP", "_SERVICE_HOST", "_NAME", "_ADDR", "_ENV_", "_", "X")


def _links(choices: Choices) -> dict[str, str]:
    values = ("tcp://", "10.0.0.1", ":80", "/web/", "opa-shop", "x")
    return {"OPA_" + choices.text(LINK_NAMES, 5): choices.text(values, 4) for _ in range(4)}


def _value_file(text: str) -> None:
    file = folder() / "value"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with nothing_hidden():
        try:
            read_value(str(file))
        except ValueFileError as error:
            assert SECRET not in str(error)  # noqa: PT017 - both ends are right
        else:
            assert SECRET not in mask_text(f"the value is {text}")


PARSERS = [
    Parser("variables", _variables, _read),
    Parser("settings from variables", _variables, _load, inputs=50),
    Parser("settings files", _file, _read_file),
    Parser("values of settings", _value, _check),
    Parser("ACCESS_KEYS", *KEY),
    Parser("JWT_ISSUERS", *ISSUER),
    Parser("USERS", *USER),
    Parser("OIDC_PROVIDERS", _provider, _read_provider),
    Parser("RATE_LIMITS", *LIMIT),
    Parser("ACCESS", _access, _rules),
    Parser("hosts and origins", lambda choices: choices.text(HOST_PARTS), _hosts),
    Parser("links of services", _links, lambda environ: service_links(environ, ["OPA_SHOP_PORT", "OPA_PORT"])),
    Parser("value files", lambda choices: choices.text((SECRET, "\n", "\r", ",", "x", "://u:", "@h"), 3), _value_file),
]
"""Those of settings."""

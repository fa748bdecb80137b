from __future__ import annotations

from pathlib import Path

import pytest

from opa.errors import SettingsError
from opa.settings.validation import check
from tests.settings_folder import SettingsFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("written", "mistake"),
    [
        ("PORT: http", 'PORT: is "http", should be a whole number'),
        ("PORT: 80.5", "PORT: is 80.5, should be a whole number"),
        ("PORT: [1]", "PORT: is [1], should be a whole number"),
        ("PORT: null", "PORT: is null, should be a whole number"),
        ("PORT: true", "PORT: is true, should be a number"),
        ("PORT: 65536", "PORT: is 65536, should be 65535 or less"),
        ("PORT: -1", "PORT: is -1, should be 0 or more"),
        ("DEBUGPY_PORT: x", 'DEBUGPY_PORT: is "x", should be a whole number'),
        ("WORKERS: 0", "WORKERS: is 0, should be 1 or more"),
        ("WORKERS: true", "WORKERS: is true, should be a number"),
        ("GRACEFUL_TIMEOUT: -1", "GRACEFUL_TIMEOUT: is -1, should be 0 or more"),
        ("COMPONENT_DNS_TIMEOUT: 0", "COMPONENT_DNS_TIMEOUT: is 0, should be more than 0"),
        ("COMPONENT_DNS_TIMEOUT: soon", 'COMPONENT_DNS_TIMEOUT: is "soon", should be a number'),
        ("COMPONENT_CONNECT_TIMEOUT: .inf", "COMPONENT_CONNECT_TIMEOUT: is Infinity, should be a finite number"),
        (
            "COMPONENT_CONNECT_TIMEOUT: 1e300",
            "COMPONENT_CONNECT_TIMEOUT: is 1e+300, should be 3153600000 or less, which is a century",
        ),
        ("COMPONENT_DISCONNECT_TIMEOUT: false", "COMPONENT_DISCONNECT_TIMEOUT: is false, should be a number"),
        ("BETTER_EXCEPTIONS_MAX_LENGTH: 0", "BETTER_EXCEPTIONS_MAX_LENGTH: is 0, should be 1 or more"),
        ("DEBUG: maybe", 'DEBUG: is "maybe", should be true or false'),
        ("DEBUG: 2", "DEBUG: is 2, should be true or false"),
        ("DEBUG: null", "DEBUG: is null, should be true or false"),
        ("PROJECT_VERSION: 1.1", "PROJECT_VERSION: is 1.1, should be text, in quotes"),
        ("PROJECT_VERSION: 2024-01-31", 'PROJECT_VERSION: is "2024-01-31", should be text, in quotes'),
        ("PROJECT_NAME: [a]", 'PROJECT_NAME: is ["a"], should be text'),
        ("PROJECT_NAME: {a: b}", "PROJECT_NAME: should be text"),
        ("MODE: ''", 'MODE: is "", should not be empty'),
        ("HOST: ''", 'HOST: is "", should not be empty'),
        ("SECRET_KEY: 12", 'SECRET_KEY: is "***", should be text, in quotes'),
        ("PLUGIN_PATHS: 1", "PLUGIN_PATHS: is 1, should be a list"),
        ("PLUGIN_PATHS: {a: b}", "PLUGIN_PATHS: should be a list"),
        ("PLUGIN_PATHS: [1, [2], /a]", "PLUGIN_PATHS.0: is 1, should be text, in quotes"),
        ("DOCS_URL: docs", 'DOCS_URL: is "docs", should be a path that starts with "/", or null to turn it off'),
        ("DOCS_URL: 1", "DOCS_URL: is 1, should be text, in quotes"),
        ("OPENAPI_PREFIX: api", 'OPENAPI_PREFIX: is "api", should be empty or a path that starts with "/"'),
        ("LOG_FORMAT: xml", "LOG_FORMAT: is \"xml\", should be 'auto', 'json' or 'text'"),
        ("RELOAD_POLLING: maybe", "RELOAD_POLLING: is \"maybe\", should be 'auto', 'yes' or 'no'"),
        (
            "CELERY_TIMEZONE: Olso",
            'CELERY_TIMEZONE: is "Olso", should be a time zone such as Europe/Oslo',
        ),
        (
            "CELERY_TASK_TIME_LIMIT: 10\n  CELERY_TASK_SOFT_TIME_LIMIT: 10",
            "CELERY_TASK_SOFT_TIME_LIMIT: is 10, should be less than CELERY_TASK_TIME_LIMIT (10), which ends the task",
        ),
        (
            "CELERY_TASK_TIME_LIMIT: 2e3\n  TASK_VISIBILITY_TIMEOUT: 9",
            "TASK_VISIBILITY_TIMEOUT: is 9, should be more than CELERY_TASK_TIME_LIMIT (2000), or tasks are run twice",
        ),
        (
            "LOGLEVEL: loud",
            "LOGLEVEL: is \"loud\", should be 'trace', 'debug', 'info', 'success', 'warning', 'error' or 'critical'",
        ),
        (
            "OPTIONAL_COMPONENTS: [a]",
            "OPTIONAL_COMPONENTS: should be a mapping; in an environment variable write '@json {…}' or '@merge {…}'",
        ),
        (
            "OPTIONAL_COMPONENTS: {A: null}",
            "OPTIONAL_COMPONENTS.A: should be a mapping; in an environment variable write '@json {…}' or '@merge {…}'",
        ),
        ("OPTIONAL_COMPONENTS: {A: {}}", "OPTIONAL_COMPONENTS.A.DRIVER: is missing"),
        ("OPTIONAL_COMPONENTS: {A: {DRIVER: ''}}", "OPTIONAL_COMPONENTS.A.DRIVER: is missing"),
        ("OPTIONAL_COMPONENTS: {A: {DRIVER: 1}}", "OPTIONAL_COMPONENTS.A.DRIVER: is 1, should be text, in quotes"),
        (
            "OPTIONAL_COMPONENTS: {A: {DRIVER: x, LOAD: maybe}}",
            "OPTIONAL_COMPONENTS.A.LOAD: is \"maybe\", should be 'auto', 'yes' or 'no'",
        ),
        (
            "OPTIONAL_COMPONENTS: {A: {DRIVER: x, OPTS: x}}",
            "OPTIONAL_COMPONENTS.A.OPTS: should be a mapping; "
            "in an environment variable write '@json {…}' or '@merge {…}'",
        ),
        (
            "OPTIONAL_COMPONENTS: {A: {DRIVER: x}, a: {DRIVER: y}}",
            "OPTIONAL_COMPONENTS: should have A once, upper and lower case are the same",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be_and_its_source(
    folder: SettingsFolder, written: str, mistake: str
) -> None:
    folder.file("a.yaml", f"default:\n  {written}")

    assert folder.mistakes()[0] == f"{mistake} (a.yaml [default])"


@pytest.mark.parametrize(
    ("name", "text", "mistake"),
    [
        ("PORT", "", 'PORT: is "", should be a whole number'),
        ("PORT", "@int x", "PORT: is not a whole number, as @int needs"),
        ("PORT", "@del", "PORT: is missing"),
        ("COMPONENT_DNS_TIMEOUT", "@float x", "COMPONENT_DNS_TIMEOUT: is not a number, as @float needs"),
        ("ALLOW_ORIGINS", "@json [", "ALLOW_ORIGINS: is not valid JSON, as @json needs"),
        ("MINE", "@json {", "MINE: is not valid JSON, as @json needs"),
        ("DEBUG", "maybe", 'DEBUG: is "maybe", should be true or false'),
        ("SECRET_KEY", '["abc"]', 'SECRET_KEY: is ["***"], should be text'),
        ("PORT__X", "1", "PORT: should be a whole number"),
        (
            "MINE",
            "@get NOWHERE",
            "MINE: cannot be read: Key NOWHERE not found in settings and no default value provided",
        ),
        (
            "SECRET_KEY",
            "@read_file nowhere",
            "SECRET_KEY: cannot be read: File nowhere does not exist and no default value provided",
        ),
        (
            "OPTIONAL_COMPONENTS__WALRUS__DRIVER",
            "@format {this.NOPE}",
            "OPTIONAL_COMPONENTS.WALRUS.DRIVER: cannot be read: Dynaconf can't interpolate variable because NOPE",
        ),
    ],
)
def test_a_wrong_variable_is_named_as_the_source(folder: SettingsFolder, name: str, text: str, mistake: str) -> None:
    folder.variables(**{f"OPA_{name}": text})

    source = "not set anywhere" if text == "@del" else f"environment variable OPA_{name}"
    assert folder.mistakes() == [f"{mistake} ({source})"]


def test_a_wrong_part_of_base_is_named_as_such(folder: SettingsFolder) -> None:
    with pytest.raises(SettingsError, match=r'PORT: is "x", should be a whole number \(the program\)'):
        folder.load({"PORT": "x"})


def test_everything_that_is_wrong_is_named_at_once(folder: SettingsFolder) -> None:
    folder.file("a.json", "{")
    folder.file("b.yaml", "default: {DEBUG: maybe}\nSTRAY: 1")
    folder.file("c.toml", "[default]\nLOG_FORMAT = 'xml'\nDOCS_URL = 'docs'")
    folder.variables(OPA_PORT="x", OPA_WORKERS="@int y", OPA_OPTIONAL_COMPONENTS__A__LOAD="yes")

    mistakes = folder.mistakes()

    assert [mistake.rpartition(" (")[2].rstrip(")") for mistake in mistakes] == [
        "a.json:1",
        "b.yaml",
        "environment variable OPA_WORKERS",
        "c.toml [default]",
        "environment variable OPA_OPTIONAL_COMPONENTS__A__LOAD",
        "b.yaml [default]",
        "c.toml [default]",
        "environment variable OPA_PORT",
    ]


def test_the_error_says_everything_in_one_line(folder: SettingsFolder) -> None:
    folder.variables(OPA_PORT="x", OPA_DEBUG="maybe")

    with pytest.raises(SettingsError) as raised:
        folder.load()

    assert str(raised.value) == (
        '2 mistakes in the settings: DEBUG: is "maybe", should be true or false (environment variable OPA_DEBUG); '
        'PORT: is "x", should be a whole number (environment variable OPA_PORT)'
    )


def test_one_mistake_is_the_error_itself(folder: SettingsFolder) -> None:
    folder.variables(OPA_PORT="x")

    with pytest.raises(SettingsError) as raised:
        folder.load()

    assert raised.value.mistakes == (str(raised.value),)


def test_a_long_value_is_cut(folder: SettingsFolder) -> None:
    folder.variables(OPA_PORT="x" * 1000)

    assert len(folder.mistakes()[0]) < 200


def test_a_password_in_a_wrong_value_is_masked(folder: SettingsFolder) -> None:
    folder.variables(OPA_PORT="redis://user:hunter2@host")

    assert folder.mistakes() == [
        'PORT: is "redis://user:***@host", should be a whole number (environment variable OPA_PORT)'
    ]


# What does not go together


def test_all_origins_with_credentials_are_a_mistake(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {ALLOW_ORIGINS: 'https://a, *'}")
    folder.file("b.yaml", "default: {ALLOW_CREDENTIALS: true}")

    assert folder.mistakes() == [
        'ALLOW_CREDENTIALS: is true, should be false while ALLOW_ORIGINS has "*", '
        "or any site could act with a user's cookies; name the origins (b.yaml [default])"
    ]


@pytest.mark.parametrize(("origins", "credentials"), [("*", False), ("https://a", True), ("", True)])
def test_all_origins_or_credentials_alone_are_allowed(folder: SettingsFolder, origins: str, credentials: bool) -> None:
    folder.file("a.yaml", f"default: {{ALLOW_ORIGINS: '{origins}', ALLOW_CREDENTIALS: {str(credentials).lower()}}}")

    assert folder.load().ALLOW_CREDENTIALS is credentials


def test_pages_without_the_description_they_are_made_from_are_mistakes(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {OPENAPI_URL: null, REDOC_URL: /doc}")

    assert folder.mistakes() == [
        'DOCS_URL: is "/docs", should be null too, since OPENAPI_URL is null and the page is made from that '
        "(default-settings.yaml [default])",
        'REDOC_URL: is "/doc", should be null too, since OPENAPI_URL is null and the page is made from that '
        "(a.yaml [default])",
    ]


def test_the_urls_of_the_document_and_of_both_pages_may_be_off(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {OPENAPI_URL: null, REDOC_URL: null, DOCS_URL: null}")

    assert folder.load().OPENAPI_URL is None


# What is taken in more than one form


@pytest.mark.parametrize(
    ("written", "load"),
    [("true", "yes"), ("false", "no"), ("yes", "yes"), ("NO", "no"), ("'Auto'", "auto"), ("'true'", "yes")],
)
def test_load_and_polling_take_switches_and_any_case(folder: SettingsFolder, written: str, load: str) -> None:
    folder.file(
        "a.yaml", f"default: {{RELOAD_POLLING: {written}, OPTIONAL_COMPONENTS: {{A: {{DRIVER: x, LOAD: {written}}}}}}}"
    )

    config = folder.load()

    assert load == config.RELOAD_POLLING == config.OPTIONAL_COMPONENTS.A.LOAD


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", "on"])
def test_a_switch_takes_what_people_write(folder: SettingsFolder, text: str) -> None:
    folder.variables(OPA_DEBUG=text)

    assert folder.load().DEBUG is True


def test_a_level_may_be_in_upper_case(folder: SettingsFolder) -> None:
    folder.variables(OPA_LOGLEVEL="WARNING")

    assert folder.load()["LOGLEVEL"] == "warning"


def test_a_component_that_is_off_needs_no_driver(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {OPTIONAL_COMPONENTS: {A: {LOAD: 'no'}}}")

    assert folder.load().OPTIONAL_COMPONENTS.A == {"LOAD": "no", "DRIVER": "", "OPTS": {}}


def test_options_may_be_left_empty(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default:\n  OPTIONAL_COMPONENTS:\n    A:\n      DRIVER: x\n      OPTS:\n")

    assert folder.load().OPTIONAL_COMPONENTS.A == {"LOAD": "auto", "DRIVER": "x", "OPTS": {}}


def test_the_prefix_loses_its_last_slash(folder: SettingsFolder) -> None:
    folder.variables(OPA_OPENAPI_PREFIX="/api/")

    assert folder.load()["OPENAPI_PREFIX"] == "/api"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LOGLEVLE", "LOGLEVEL"),
        ("LOGLEVAL", "LOGLEVEL"),
        ("WORKRES", "WORKERS"),
        ("WROKERS", "WORKERS"),
        ("PROT", "PORT"),
        ("HOTS", "HOST"),
        ("PLUGIN_PATH", "PLUGIN_PATHS"),
        ("SETTINGS_DRI", "SETTINGS_DIR"),
        ("GRACEFULL_TIMEOUT", "GRACEFUL_TIMEOUT"),
    ],
)
def test_a_name_that_is_a_slip_of_a_known_one_gives_a_warning(written: str, meant: str) -> None:
    warnings = check({written: 1}, {(written,): "a file"}).warnings

    assert warnings == (f"{written} is not a setting of opa-stack; did you mean {meant}? (a file)",)


@pytest.mark.parametrize("name", ["SMTP", "MAIL", "MY_FLAG", "GREETING", "POST", "COST", "TOKEN", "URL", "X"])
def test_a_name_of_the_users_own_gives_none(name: str) -> None:
    assert check({name: 1}, {(name,): "a file"}).warnings == ()


def test_a_variable_that_has_no_prefix_is_told_from_a_setting() -> None:
    (warning,) = check({"ENV": "dev"}, {("ENV",): "environment variable OPA_ENV"}).warnings

    assert "without OPA_" in warning


@pytest.mark.parametrize(
    "name",
    ["ALLOW_ORIGINS", "TRUSTED_HOSTS", "HOST", "ACCESS__SHOP", "RATE_LIMITS__/SHOP", "SIGN_IN_URL", "DOCS_URL", "PORT"],
)
def test_a_variable_whose_bytes_are_no_text_is_one_mistake(folder: SettingsFolder, name: str) -> None:
    folder.variables(**{f"OPA_{name}": "x\udcff"})
    (mistake,) = folder.mistakes()
    assert mistake.startswith(name.partition("__")[0])
    mistake.replace("\udcff", "").encode()


def test_halves_of_characters_in_a_file_are_mistakes_and_end_nothing_else(folder: SettingsFolder) -> None:
    folder.file(
        "a.json",
        r"""
        {"default": {
            "ACCESS": {"/sho\ud800p{x}": "open"},
            "RATE_LIMITS": {"/sho\ud800p{x}": "1/second"},
            "OPTIONAL_COMPONENTS": {"a\ud800": {"LOAD": "no"}, "A\ud800": {"LOAD": "no"}},
            "JWT_ISSUERS": [{"ISSUER": "https://x", "AUDIENCE": "a", "ALGORITHMS": ["\ud800"]}],
            "TIME_ZONE": "\ud800"
        }}
        """,
    )
    assert {mistake.partition(":")[0].partition(".")[0] for mistake in folder.mistakes()} >= {"ACCESS", "RATE_LIMITS"}


def test_no_setting_of_celerys_own_is_taken_for_a_slip() -> None:
    from celery.app.defaults import SETTING_KEYS

    names = [f"CELERY_{name.upper()}" for name in SETTING_KEYS]
    warnings = [warning for name in names for warning in check({name: None}, {(name,): "a file"}).warnings]
    assert not [warning for warning in warnings if "did you mean" in warning]

"""The known settings: types, limits, which exclude each other. Defaults stand in default-settings.yaml."""

# Without `annotations` of `__future__`: Pydantic would compile each of some 200, a hundredth of a start.

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from opa._util.suggestions import nearest
from opa.settings import access as settings_access
from opa.settings import access_keys, jwt_issuers, oidc_providers
from opa.settings import hosts as settings_hosts
from opa.settings import notify as settings_notify
from opa.settings import users as settings_users
from opa.settings import webhooks_out as settings_webhooks_out
from opa.settings.envs import DEVELOPMENT, ENV_VARIABLE, is_development
from opa.settings.quoting import QuotingError, quotable

ALIASES = {"PTVSD": "DEBUGPY"}
"""Names of the original opa-stack that are accepted for a setting of today, with a warning."""

COMPONENT_KEYS = ("LOAD", "DRIVER", "OPTS")

MAX_TASK_DEPTH = 200
"""Levels of an argument: from some 300 on Python cannot hand it from one process of a worker to another."""


UNLIMITED = "unlimited"
"""In RATE_LIMITS: no limit at all, for what a wider entry would limit."""


def split_list(value: Any) -> Any:
    """A string as the list that it stands for, split at commas; a list without space around its items."""
    if isinstance(value, str):
        return [item for part in value.split(",") if (item := part.strip())]
    if isinstance(value, list):
        return [item.strip() if isinstance(item, str) else item for item in value]
    return value


def without_python(value: Any) -> Any:  # noqa: PLR0911 - one for each kind
    """`value` as another format than Python would have it: a path is a text, a member of an enum is its value."""
    if isinstance(value, Enum):
        return without_python(value.value)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {without_python(key): without_python(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(without_python, value), key=str)
    if isinstance(value, list | tuple):
        return [without_python(item) for item in value]
    return value


def without_doubles(values: list[Any]) -> list[Any]:
    """`values` with each item once; the first stays."""
    unique: list[Any] = []
    for value in values:
        if not any(type(value) is type(seen) and value == seen for seen in unique):
            unique.append(value)
    return unique


def _no_switch(value: Any) -> Any:
    # Pydantic would take true for the number 1.
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _none_or(value: Any) -> Any:
    # A variable cannot hold null; these are what people write for it.
    return None if _lower(value) in ("", "null", "none") else value


def _yes_no(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = _lower(value)
    return {"true": "yes", "false": "no"}.get(value, value) if isinstance(value, str) else value


def _none_or_off(value: Any) -> Any:
    return None if _none_or(_lower(value)) in (None, False, "false", "no") else value


def _starts_with_slash(value: str | None) -> str | None:
    if value is not None and not value.startswith("/"):
        raise ValueError('should be a path that starts with "/", or null to turn it off')
    return value


def _prefix(value: str) -> str:
    if value and not value.startswith("/"):
        raise ValueError('should be empty or a path that starts with "/"')
    return value.rstrip("/")


def _header_value(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise ValueError("should be the value of a header, one line of ASCII, or null to leave the header out")
    return value


TextList = Annotated[list[str], BeforeValidator(split_list), AfterValidator(without_doubles)]
UrlPath = Annotated[str | None, BeforeValidator(_none_or_off), AfterValidator(_starts_with_slash)]
HeaderOrNone = Annotated[str | None, BeforeValidator(_none_or_off), AfterValidator(_header_value)]
Origins = Annotated[TextList, AfterValidator(settings_hosts.origins)]
Hosts = Annotated[TextList, AfterValidator(settings_hosts.hosts)]
ListenedOn = Annotated[str, Field(min_length=1), AfterValidator(settings_hosts.listened_on)]
PagePath = Annotated[str, AfterValidator(settings_users.page_path)]
Scopes = Annotated[list[Annotated[str, AfterValidator(access_keys.scope)]], BeforeValidator(split_list)]
Moment = Annotated[str, BeforeValidator(access_keys.moment)]
Seconds = Annotated[float, BeforeValidator(_no_switch), Field(gt=0, allow_inf_nan=False)]
SecondsOrNone = Annotated[Seconds | None, BeforeValidator(_none_or)]
Count = Annotated[int, BeforeValidator(_no_switch), Field(ge=1)]
CountOrNone = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_none_or), BeforeValidator(_no_switch)]
PortOrNone = Annotated[
    Annotated[int, Field(ge=1, le=65535)] | None, BeforeValidator(_none_or), BeforeValidator(_no_switch)
]
YesNoAuto = Annotated[Literal["auto", "yes", "no"], BeforeValidator(_yes_no)]


_ClaimValue = Annotated[bool | int | str, Field(union_mode="smart")]
FailSkip = Annotated[Literal["fail", "skip"], BeforeValidator(_lower)]


class _UpperKeys(BaseModel):
    """A mapping with fixed keys, in any case."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_in_any_case(cls, value: Any) -> Any:
        return {str(key).upper(): item for key, item in value.items()} if isinstance(value, Mapping) else value


class NamedInstalledPlugin(_UpperKeys):
    """One of INSTALLED_PLUGINS, where it is more than a name."""

    NAME: Annotated[str, Field(min_length=1)]
    OPTIONAL: bool = False


class PluginOptions(_UpperKeys):
    """What PLUGIN_OPTIONS may say for a plugin."""

    FAILURE: FailSkip | None = None
    IMPORT_TIMEOUT: Seconds | None = None
    READY_TIMEOUT: Seconds | None = None
    STARTUP_TIMEOUT: Seconds | None = None
    SHUTDOWN_TIMEOUT: Seconds | None = None


def _time_zone(value: str) -> str:
    if value.upper() == "UTC":
        return "UTC"  # as Celery looks it up
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        near = nearest(value, available_timezones()) or "Europe/Oslo"
        general = "should be a time zone such as Europe/Oslo"
        raise QuotingError(f"should be a time zone such as {near}", general=general) from None
    return value


class RateLimitRule(_UpperKeys):
    """One of RATE_LIMITS."""

    LIMIT: str
    BY: Annotated[Literal["actor", "address", "plugin"], BeforeValidator(_lower)] = "actor"

    @model_validator(mode="before")
    @classmethod
    def _limit_alone(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping) else {"LIMIT": value}

    @field_validator("LIMIT", mode="before")
    @classmethod
    def _is_rate(cls, value: Any) -> Any:
        from opa._util.rates import rates_in  # no start pays for it where there is no such entry

        if _lower(value) != UNLIMITED:
            rates_in(value)
        return value


def _limited_places(value: dict[str, RateLimitRule]) -> dict[str, RateLimitRule]:
    for key in value:
        if problem := settings_access.problem_of_path(key):
            raise ValueError(quotable(f'should not have "{key}": {problem}'))
    return value


class GroupEntry(_UpperKeys):
    """An entry of a group, where it is more than a URI."""

    URI: Annotated[str, Field(min_length=1)]
    OPTS: dict[str, Any] = {}
    FACTORY: bool = False


class AccessKey(_UpperKeys):
    """One of ACCESS_KEYS, as `opa keys create --settings` prints it."""

    ID: Annotated[str, AfterValidator(access_keys.key_id)]
    HASH: Annotated[str, AfterValidator(access_keys.key_hash)]
    SCOPES: Scopes
    CREATED: Moment
    EXPIRES: Annotated[str, BeforeValidator(access_keys.moment_or_never)]
    FORMER_HASH: Annotated[str, AfterValidator(access_keys.key_hash)] | None = None
    FORMER_UNTIL: Moment | None = None


class JwtIssuer(_UpperKeys):
    """One of JWT_ISSUERS."""

    ISSUER: Annotated[str, AfterValidator(jwt_issuers.issuer)]
    SECRET: Annotated[str | None, BeforeValidator(_none_or), AfterValidator(jwt_issuers.secret)] = None
    JWKS_URL: Annotated[str | None, BeforeValidator(_none_or), Field(validate_default=True)] = None
    ALGORITHMS: Annotated[TextList, Field(validate_default=True)] = []
    CLAIMS: dict[str, _ClaimValue | list[_ClaimValue]] = {}
    AUDIENCE: Annotated[TextList | None, BeforeValidator(_none_or)]
    SCOPES_CLAIM: str = "scope"
    SCOPES_PREFIX: str = ""
    SCOPES: TextList = []
    LEEWAY: Annotated[float, BeforeValidator(_no_switch), Field(ge=0, le=600, allow_inf_nan=False)] = 60
    JWKS_REFRESH: Annotated[Seconds, Field(ge=30)] = 600
    JWKS_KEEP: Annotated[float, BeforeValidator(_no_switch), Field(ge=0, allow_inf_nan=False)] = 86400

    # Of a field that is wrong, those after it are not judged by: it is reported once.

    @field_validator("JWKS_URL")
    @classmethod
    def _where_keys_are(cls, value: str | None, info: ValidationInfo) -> str | None:
        is_judged = {"ISSUER", "SECRET"} <= info.data.keys()
        return jwt_issuers.jwks_url(value, info.data["ISSUER"], info.data["SECRET"]) if is_judged else value

    @field_validator("ALGORITHMS")
    @classmethod
    def _of_its_keys(cls, value: list[str], info: ValidationInfo) -> list[str]:
        return jwt_issuers.algorithms(value, info.data["SECRET"]) if "SECRET" in info.data else value

    @field_validator("AUDIENCE")
    @classmethod
    def _for_us(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if value is not None and not value:
            raise ValueError("should name who the tokens are for, as their claim aud has it")
        if value is None and not info.data.get("CLAIMS", True):
            raise ValueError("should be null only with CLAIMS, or a token for anybody else is good here")
        return value


def _each_issuer_once(values: list[JwtIssuer]) -> list[JwtIssuer]:
    doubles = [name for name, count in Counter(value.ISSUER for value in values).items() if count > 1]
    if doubles:
        general = "should have each issuer once; AUDIENCE may be a list"
        raise QuotingError(f'should have "{doubles[0]}" once; AUDIENCE may be a list', general=general)
    return values


class User(_UpperKeys):
    """One of USERS."""

    PASSWORD: Annotated[str, AfterValidator(settings_users.password_hash)]
    SCOPES: Scopes = []


class SignInRule(_UpperKeys):
    """One of ALLOW of a provider: who may sign in, and what they may do then."""

    EMAIL: Annotated[TextList, AfterValidator(oidc_providers.emails)] = []
    EMAIL_DOMAIN: Annotated[TextList, AfterValidator(oidc_providers.email_domains)] = []
    SUBJECT: Annotated[TextList, AfterValidator(oidc_providers.not_empty)] = []
    CLAIMS: dict[str, _ClaimValue | list[_ClaimValue]] = {}
    EVERYONE: bool = False
    SCOPES: Scopes = []

    @model_validator(mode="after")
    def _has_conditions(self) -> Self:
        oidc_providers.check_rule({name: getattr(self, name) for name in type(self).model_fields})
        return self


def _some_rules(rules: list[SignInRule]) -> list[SignInRule]:
    oidc_providers.check_allowed(rules)
    return rules


class OidcProvider(_UpperKeys):
    """One of OIDC_PROVIDERS."""

    ISSUER: Annotated[str, AfterValidator(oidc_providers.provider_issuer)]
    CLIENT_ID: Annotated[str, AfterValidator(oidc_providers.credential)]
    CLIENT_SECRET: Annotated[str, AfterValidator(oidc_providers.credential)]
    ALLOW: Annotated[list[SignInRule], AfterValidator(_some_rules)]
    LABEL: Annotated[str, Field(max_length=100)] = ""
    REQUESTED_SCOPES: Annotated[TextList, AfterValidator(oidc_providers.requested)] = ["openid", "email", "profile"]
    REDIRECT_URL: Annotated[str | None, BeforeValidator(_none_or), AfterValidator(oidc_providers.redirect_url)] = None


class NotifyTarget(_UpperKeys):
    """One of NOTIFY."""

    TYPE: Annotated[Literal["slack", "teams", "json", "mail"], BeforeValidator(_lower)]
    EVENTS: Annotated[
        list[Annotated[Literal["failed", "dead", "missed"], BeforeValidator(_lower)]], BeforeValidator(split_list)
    ] = ["failed", "dead", "missed"]
    TASKS: TextList = ["*"]
    PLUGINS: TextList = ["*"]
    WINDOW: Annotated[Seconds, Field(le=86400)] = 30
    LIMIT: Count = 20
    CONSOLE: Annotated[str | None, BeforeValidator(_none_or), AfterValidator(settings_notify.webhook_url)] = None
    URL: Annotated[str | None, BeforeValidator(_none_or), AfterValidator(settings_notify.webhook_url)] = None
    HOST: str = ""
    PORT: PortOrNone = None
    TLS: Annotated[Literal["starttls", "tls", "none"], BeforeValidator(_lower)] = "starttls"
    USER: str = ""
    PASSWORD: str = ""
    FROM: Annotated[str, AfterValidator(lambda value: settings_notify.address(value) if value else value)] = ""
    TO: Annotated[list[Annotated[str, AfterValidator(settings_notify.address)]], BeforeValidator(split_list)] = []

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        settings_notify.check_target({name: getattr(self, name) for name in type(self).model_fields})
        return self


class WebhookOut(_UpperKeys):
    """One of WEBHOOKS_OUT."""

    ON: Annotated[TextList, AfterValidator(settings_webhooks_out.patterns)]
    URL: Annotated[str, AfterValidator(settings_webhooks_out.target_url)]
    SECRET: Annotated[TextList, AfterValidator(settings_webhooks_out.secrets)]


class Component(BaseModel):
    """One of OPTIONAL_COMPONENTS."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    LOAD: YesNoAuto = "auto"
    DRIVER: Annotated[str, Field(validate_default=True)] = ""
    OPTS: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = {}

    @field_validator("DRIVER")
    @classmethod
    def _needed_to_load(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("LOAD") != "no":
            raise PydanticCustomError("missing", "is missing")
        return value


def _component_keys_in_any_case(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    doubles = [name for name, count in Counter(str(name).upper() for name in value).items() if count > 1]
    if doubles:
        raise ValueError(quotable(f"should have {doubles[0]} once, upper and lower case are the same"))
    return {str(name): _known_keys_upper(component) for name, component in value.items()}


def _in_development(value: bool) -> bool:
    if value and not is_development():
        raise ValueError(
            f"is for development alone, and {ENV_VARIABLE} is not {DEVELOPMENT}: what runs elsewhere is decided before,"
            " by opa deps install"
        )
    return value


class Settings(BaseModel):
    """Every setting of opa-stack; what each one does stands in default-settings.yaml."""

    # It takes a tenth of a small start to build, and most starts need a few fields of it (`validated`).
    model_config = ConfigDict(extra="ignore", defer_build=True)

    MODE: Annotated[str, Field(min_length=1)]

    PROJECT_NAME: str
    PROJECT_ID: str | None
    PROJECT_DESCRIPTION: str
    PROJECT_VERSION: str

    OPENAPI_URL: UrlPath
    DOCS_URL: UrlPath
    REDOC_URL: UrlPath
    CONSOLE_URL: UrlPath
    ADMIN_URL: UrlPath
    OPENAPI_EARLY: bool
    OPENAPI_PREFIX: Annotated[str, AfterValidator(_prefix)]
    SELF_HOSTED: bool
    STATIC: YesNoAuto
    MIGRATE_ON_START: bool

    PLUGIN_PATHS: TextList
    PLUGIN_WHITELIST_LIST: TextList
    PLUGIN_WHITELIST_RE: str
    PLUGIN_WHITELIST_TAGS: TextList
    PLUGIN_BLACKLIST_LIST: TextList
    PLUGIN_BLACKLIST_RE: str
    PLUGIN_BLACKLIST_TAGS: TextList

    PACKAGES_DIR: str
    INSTALL_PACKAGES: Annotated[bool, AfterValidator(_in_development)]

    INSTALLED_PLUGINS: Annotated[list[str | NamedInstalledPlugin], BeforeValidator(split_list)]
    PLUGIN_AUTOLOAD: bool
    PLUGIN_FAILURE: FailSkip
    PLUGIN_IMPORT_TIMEOUT: Seconds
    PLUGIN_READY_TIMEOUT: Seconds
    PLUGIN_STARTUP_TIMEOUT: Seconds
    PLUGIN_SHUTDOWN_TIMEOUT: Seconds
    PLUGIN_OPTIONS: dict[str, PluginOptions]
    PLUGIN_SETTINGS: dict[str, dict[str, Any]]
    PLUGINS: dict[str, list[str | GroupEntry]]
    MIDDLEWARE: Annotated[list[str | GroupEntry], BeforeValidator(split_list)]

    TRUSTED_HOSTS: Hosts
    ALLOW_ORIGINS: Origins
    ALLOW_CREDENTIALS: bool
    ALLOW_METHODS: TextList
    ALLOW_HEADERS: TextList

    ACCESS: Annotated[dict[str, str | list[str]], AfterValidator(settings_access.access)]
    ACCESS_DEFAULT: Annotated[Literal["open", "closed"], BeforeValidator(_lower)]
    ACCESS_RECHECK: SecondsOrNone

    CONTENT_TYPE_OPTIONS: HeaderOrNone
    FRAME_OPTIONS: HeaderOrNone
    REFERRER_POLICY: HeaderOrNone
    HSTS_SECONDS: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(_none_or), BeforeValidator(_no_switch)]
    PAGES_POLICY: HeaderOrNone

    SECRET_KEY: str

    ACCESS_KEYS: Annotated[
        dict[Annotated[str, AfterValidator(access_keys.name)], AccessKey],
        AfterValidator(access_keys.without_shared_ids),
    ]
    RATE_LIMITS: Annotated[dict[str, RateLimitRule], AfterValidator(_limited_places)]
    RATE_LIMITS_WITHOUT_REDIS: Annotated[Literal["local", "allow", "refuse"], BeforeValidator(_lower)]
    WRONG_ATTEMPTS_PER_ADDRESS: CountOrNone
    WRONG_ATTEMPTS_PER_KEY: CountOrNone
    WRONG_ATTEMPTS_MAX_WAIT: Seconds
    AUDIT_LOG: Annotated[Literal["lines", "redis"], BeforeValidator(_lower)]
    AUDIT_LOG_LENGTH: Count
    RUNS: bool
    RUNS_KEEP: Count
    RUNS_KEEP_AGE: Annotated[Seconds, Field(ge=60)]
    RUNS_KEEP_BYTES: Count
    JWT_ISSUERS: Annotated[list[JwtIssuer], AfterValidator(_each_issuer_once)]

    USERS: dict[Annotated[str, AfterValidator(access_keys.name)], User]
    SIGN_IN_URL: PagePath
    SIGN_OUT_URL: PagePath
    OIDC_PROVIDERS: dict[Annotated[str, AfterValidator(access_keys.name)], OidcProvider]
    SESSION_IDLE_TIMEOUT: Annotated[Seconds, Field(ge=60)]
    SESSION_LIFETIME: Annotated[Seconds, Field(ge=60)]

    OPTIONAL_COMPONENTS: Annotated[dict[str, Component], BeforeValidator(_component_keys_in_any_case)]
    TASK_DRIVERS: TextList
    COMPONENT_DNS_TIMEOUT: Seconds
    COMPONENT_CONNECT_TIMEOUT: Seconds
    COMPONENT_DISCONNECT_TIMEOUT: Seconds

    DEBUG: bool
    BETTER_EXCEPTIONS: bool
    BETTER_EXCEPTIONS_MAX_LENGTH: CountOrNone
    DEBUGPY: bool
    DEBUGPY_HOST: ListenedOn
    DEBUGPY_PORT: Annotated[int, BeforeValidator(_no_switch), Field(ge=0, le=65535)]
    DEBUGPY_WAIT: bool

    HEALTH_URL: UrlPath
    READY_URL: UrlPath
    READY_DETAILS: bool
    OPERATING_PORT: PortOrNone
    OPERATING_HOST: ListenedOn
    MCP_TAGS: TextList
    MCP_URL: UrlPath
    MCP_KEY: HeaderOrNone
    METRICS: bool
    METRICS_URL: UrlPath
    METRICS_PORT: PortOrNone
    LOOP_BLOCK_LIMIT: SecondsOrNone

    CHECK_SILENCED: dict[str, Annotated[str, Field(min_length=1)]]

    LOGLEVEL: Annotated[
        Literal["trace", "debug", "info", "success", "warning", "error", "critical"], BeforeValidator(_lower)
    ]
    LOG_FORMAT: Annotated[Literal["auto", "json", "text"], BeforeValidator(_lower)]
    ACCESS_LOG: bool
    REQUEST_ID: bool

    HOST: ListenedOn
    PORT: Annotated[int, BeforeValidator(_no_switch), Field(ge=0, le=65535)]
    GRACEFUL_TIMEOUT: Annotated[int, BeforeValidator(_no_switch), Field(ge=0)]
    WORKERS: CountOrNone
    PRELOAD: bool
    RELOAD: bool
    RELOAD_POLLING: YesNoAuto

    MAX_HEADER_BYTES: Annotated[Count, Field(ge=1024)]
    MAX_HEADERS: CountOrNone
    HEADER_TIMEOUT: SecondsOrNone
    MAX_BODY_BYTES: CountOrNone
    MAX_UPLOAD_BYTES: CountOrNone
    BODY_TIMEOUT: SecondsOrNone
    REQUEST_TIMEOUT: SecondsOrNone
    IDLE_TIMEOUT: SecondsOrNone
    MAX_CONNECTIONS: CountOrNone
    MAX_REQUESTS: CountOrNone
    WEBSOCKET_MAX_MESSAGE_BYTES: CountOrNone
    WEBSOCKET_MAX_QUEUE: Count

    CELERY_TASK_ACKS_LATE: bool
    CELERY_TASK_REJECT_ON_WORKER_LOST: bool
    CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS: bool
    CELERY_WORKER_PREFETCH_MULTIPLIER: Count
    CELERY_TASK_DEFAULT_QUEUE: Annotated[str, Field(min_length=1)]
    CELERY_TASK_DEFAULT_QUEUE_TYPE: Annotated[Literal["quorum", "classic"], BeforeValidator(_lower)]
    TASK_DELIVERY_LIMIT: Count
    TASK_MAX_BYTES: Count
    TASK_MAX_DEPTH: Annotated[Count, Field(le=MAX_TASK_DEPTH)]
    TASK_LIMITS_WITHOUT_REDIS: Annotated[Literal["refuse", "allow"], BeforeValidator(_lower)]
    CELERY_TASK_TIME_LIMIT: SecondsOrNone
    CELERY_TASK_SOFT_TIME_LIMIT: SecondsOrNone
    TASK_VISIBILITY_TIMEOUT: Seconds
    CELERY_RESULT_EXPIRES: Seconds
    CELERY_WORKER_CONCURRENCY: CountOrNone
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP: bool
    CELERY_BROKER_CONNECTION_MAX_RETRIES: CountOrNone
    CELERY_TASK_ROUTES: dict[str, Any]
    CELERY_TASK_ANNOTATIONS: dict[str, Any]
    CELERY_BEAT_SCHEDULE: dict[str, Any]
    SCHEDULE_MISSED_AFTER: Seconds
    NOTIFY: dict[Annotated[str, AfterValidator(access_keys.name)], NotifyTarget]
    WEBHOOKS_OUT: Annotated[
        dict[Annotated[str, AfterValidator(access_keys.name)], WebhookOut],
        BeforeValidator(settings_webhooks_out.by_name),
    ]
    CELERY_TIMEZONE: Annotated[str, Field(min_length=1), AfterValidator(_time_zone)]
    FLOWER_PORT: Annotated[int, BeforeValidator(_no_switch), Field(ge=1, le=65535)]

    # A validator sees those fields before its own that are right, so a wrong one is reported once.

    @field_validator("DOCS_URL", "REDOC_URL")
    @classmethod
    def _needs_openapi(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("OPENAPI_URL", "unknown") is None:
            raise ValueError("should be null too, since OPENAPI_URL is null and the page is made from that")
        return value

    @field_validator("SIGN_OUT_URL")
    @classmethod
    def _beside_the_page(cls, value: str, info: ValidationInfo) -> str:
        return settings_users.sign_out_path(value, info.data.get("SIGN_IN_URL"))

    @field_validator("OIDC_PROVIDERS")
    @classmethod
    def _sent_back_to_us(cls, value: dict[str, OidcProvider], info: ValidationInfo) -> dict[str, OidcProvider]:
        redirects = {name: provider.REDIRECT_URL for name, provider in value.items()}
        paths = info.data.get("SIGN_IN_URL"), info.data.get("SIGN_OUT_URL")
        oidc_providers.check_redirects(redirects, *paths, info.data.get("TRUSTED_HOSTS", ["unknown"]))
        return value

    @field_validator("ALLOW_CREDENTIALS")
    @classmethod
    def _not_for_all_sites(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "*" in info.data.get("ALLOW_ORIGINS", []):
            raise ValueError(
                'should be false while ALLOW_ORIGINS has "*", or any site could act with a user\'s cookies; '
                "name the origins"
            )
        if value and "null" in info.data.get("ALLOW_ORIGINS", []):
            raise ValueError(
                'should be false while ALLOW_ORIGINS has "null", which is the origin of any page in a sandboxed frame'
            )
        if value and "file://" in info.data.get("ALLOW_ORIGINS", []):
            raise ValueError('should be false while ALLOW_ORIGINS has "file://", which is the origin of any file')
        return value

    @field_validator("CELERY_TASK_SOFT_TIME_LIMIT", "TASK_VISIBILITY_TIMEOUT")
    @classmethod
    def _beside_the_time_limit(cls, value: float | None, info: ValidationInfo) -> float | None:
        limit = info.data.get("CELERY_TASK_TIME_LIMIT")
        if limit is None or value is None:
            return value
        if info.field_name == "TASK_VISIBILITY_TIMEOUT" and value <= limit:
            raise _beside(limit, "should be more than CELERY_TASK_TIME_LIMIT{}, or tasks are run twice")
        if info.field_name == "CELERY_TASK_SOFT_TIME_LIMIT" and value >= limit:
            raise _beside(limit, "should be less than CELERY_TASK_TIME_LIMIT{}, which ends the task")
        return value


def _beside(limit: float, problem: str) -> QuotingError:
    return QuotingError(problem.format(f" ({limit:g})"), general=problem.format(""), setting="CELERY_TASK_TIME_LIMIT")


def _known_keys_upper(component: Any) -> Any:
    if not isinstance(component, Mapping):
        return component
    return {
        key.upper() if isinstance(key, str) and key.upper() in COMPONENT_KEYS else str(key): value
        for key, value in component.items()
    }


KNOWN = frozenset(Settings.model_fields)
MAPPINGS = frozenset(n for n, f in Settings.model_fields.items() if get_origin(f.annotation) is dict)
PLAIN = frozenset(name for name in KNOWN if name != "PLUGIN_SETTINGS" and not name.startswith("CELERY_"))
"""Settings that need no objects of Python, as those of a plugin's model or of Celery may."""
TEXTS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation in (str, str | None))
LISTS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation == list[str])


_TOGETHER = frozenset(
    name for validator in Settings.__pydantic_decorators__.field_validators.values() for name in validator.info.fields
) | {"OPENAPI_URL", "ALLOW_ORIGINS", "CELERY_TASK_TIME_LIMIT", "SIGN_IN_URL"}
"""Settings of which one says what another may be."""
_SECONDS = frozenset(n for n, f in Settings.model_fields.items() if f.annotation in (float, get_args(SecondsOrNone)[0]))


def validated(values: Mapping[str, Any], defaults: Collection[str]) -> dict[str, Any]:
    """The known settings among `values`, in their right types.

    Args:
        defaults: names of those that stand in default-settings.yaml, which need no check.

    Raises:
        ValidationError: some of the others are wrong, or missing.
    """
    given = [name for name in Settings.model_fields if name not in defaults]
    if not _TOGETHER.isdisjoint(given) or not values.keys() >= KNOWN:
        return Settings.model_validate({name: value for name, value in values.items() if name in KNOWN}).model_dump()
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name in given if (field := Settings.model_fields[name])
    }
    checked = create_model("Given", **fields)(**{name: values[name] for name in given}).model_dump()
    return {
        name: checked[name] if name in checked else _as_seconds(name, values[name]) for name in Settings.model_fields
    }


def _as_seconds(name: str, value: Any) -> Any:
    return float(value) if name in _SECONDS and value is not None else value


def path_of(name: str) -> tuple[str, ...]:
    """The steps of a name: by `__`, or else by dots. A dot beside `__` is one of a key, such as a task's name."""
    first, *rest = name.strip().split("__" if "__" in name else ".")
    return (first.upper(), *rest)


def is_mapping_setting(name: str) -> bool:
    """Whether the setting with this dotted name, or `A__B`, is always a mapping."""
    path = path_of(name.upper())
    if path[0] == "OPTIONAL_COMPONENTS" and len(path) == 3:
        return path[2] == "OPTS"
    return path[0] in MAPPINGS and len(path) <= (2 if path[0] in _MAPPINGS_OF_MAPPINGS else 1)


_MAPPINGS_OF_MAPPINGS = frozenset(
    {
        *("ACCESS_KEYS", "NOTIFY", "OIDC_PROVIDERS", "OPTIONAL_COMPONENTS", "PLUGIN_OPTIONS", "PLUGIN_SETTINGS"),
        *("USERS", "WEBHOOKS_OUT"),
    }
)

"""The known settings: types, limits, which exclude each other. Defaults stand in default-settings.yaml."""

# Without `annotations` of `__future__`, see field_types.py.

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from opa.settings import hosts
from opa.settings.access import access
from opa.settings.components import Component, component_keys_in_any_case, component_name
from opa.settings.envs import DEVELOPMENT, ENV_VARIABLE, is_development
from opa.settings.field_types import (
    Count,
    CountOrNone,
    EntryName,
    FailSkip,
    HeaderOrNone,
    Port,
    PortOrNone,
    Seconds,
    SecondsOrNone,
    Text,
    TextList,
    TimeZone,
    UpperKeys,
    UrlPath,
    UrlPrefix,
    Utf8,
    YesNoAuto,
    lower,
    no_switch,
    none_or,
    split_list,
    utf8,
)
from opa.settings.late_types import Later
from opa.settings.quoting import QuotingError

MAX_TASK_DEPTH = 200
"""Levels of an argument: from some 300 on Python cannot hand it from one process of a worker to another."""

Origins = Annotated[TextList, AfterValidator(hosts.origins)]
Hosts = Annotated[TextList, AfterValidator(hosts.hosts)]
ListenedOn = Annotated[Text, AfterValidator(hosts.listened_on)]


def _web_url() -> Any:
    from opa.settings.api_info import WebUrl

    return WebUrl


def _contact() -> Any:
    from opa.settings.api_info import ApiContact

    return ApiContact


def _license() -> Any:
    from opa.settings.api_info import ApiLicense

    return ApiLicense


def _tags() -> Any:
    from opa.settings.api_info import ApiTag, each_tag_once

    return Annotated[list[ApiTag], AfterValidator(each_tag_once)]


def _access_keys() -> Any:
    from opa.settings.access_keys import AccessKey, without_shared_ids

    return Annotated[dict[EntryName, AccessKey], AfterValidator(without_shared_ids)]


def _rate_limits() -> Any:
    from opa.settings.rate_limits import RateLimitRule, limited_places

    return Annotated[dict[str, RateLimitRule], AfterValidator(limited_places)]


def _jwt_issuers() -> Any:
    from opa.settings.jwt_issuers import JwtIssuer, each_once

    return Annotated[list[JwtIssuer], AfterValidator(each_once)]


def _users() -> Any:
    from opa.settings.users import User

    return dict[EntryName, User]


def _page_path() -> Any:
    from opa.settings.users import page_path

    return Annotated[str, AfterValidator(page_path)]


def _oidc_providers() -> Any:
    from opa.settings.oidc_providers import OidcProvider

    return dict[EntryName, OidcProvider]


def _notify() -> Any:
    from opa.settings.notify import NotifyTarget

    return dict[EntryName, NotifyTarget]


def _webhooks_out() -> Any:
    from opa.settings.webhooks_out import WebhookOut, by_name

    return Annotated[dict[EntryName, WebhookOut], BeforeValidator(by_name)]


PagePath = Annotated[str, Later(_page_path)]


class NamedInstalledPlugin(UpperKeys):
    """One of INSTALLED_PLUGINS, where it is more than a name."""

    NAME: Text
    OPTIONAL: bool = False


class PluginOptions(UpperKeys):
    """What PLUGIN_OPTIONS may say for a plugin."""

    FAILURE: FailSkip | None = None
    IMPORT_TIMEOUT: Seconds | None = None
    READY_TIMEOUT: Seconds | None = None
    STARTUP_TIMEOUT: Seconds | None = None
    SHUTDOWN_TIMEOUT: Seconds | None = None


class GroupEntry(UpperKeys):
    """An entry of a group, where it is more than a URI."""

    URI: Text
    OPTS: dict[str, Any] = {}
    FACTORY: bool = False


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

    MODE: Text

    PROJECT_NAME: Utf8
    PROJECT_ID: Annotated[str | None, AfterValidator(utf8)]
    PROJECT_SUMMARY: Utf8
    PROJECT_DESCRIPTION: Utf8
    PROJECT_VERSION: Utf8
    PROJECT_TERMS_OF_SERVICE: Annotated[str | None, Later(_web_url)]
    PROJECT_CONTACT: Annotated[dict[str, Any], Later(_contact)]
    PROJECT_LICENSE: Annotated[dict[str, Any], Later(_license)]
    PROJECT_TAGS: Annotated[list[Any], Later(_tags)]

    OPENAPI_URL: UrlPath
    DOCS_URL: UrlPath
    REDOC_URL: UrlPath
    CONSOLE_URL: UrlPath
    ADMIN_URL: UrlPath
    OPENAPI_EARLY: bool
    OPENAPI_PREFIX: UrlPrefix
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

    ACCESS: Annotated[dict[str, str | list[str]], AfterValidator(access)]
    ACCESS_DEFAULT: Annotated[Literal["open", "closed"], BeforeValidator(lower)]
    ACCESS_RECHECK: SecondsOrNone

    CONTENT_TYPE_OPTIONS: HeaderOrNone
    FRAME_OPTIONS: HeaderOrNone
    REFERRER_POLICY: HeaderOrNone
    HSTS_SECONDS: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(none_or), BeforeValidator(no_switch)]
    PAGES_POLICY: HeaderOrNone

    SECRET_KEY: str

    ACCESS_KEYS: Annotated[dict[str, Any], Later(_access_keys)]
    RATE_LIMITS: Annotated[dict[str, Any], Later(_rate_limits)]
    RATE_LIMITS_WITHOUT_REDIS: Annotated[Literal["local", "allow", "refuse"], BeforeValidator(lower)]
    WRONG_ATTEMPTS_PER_ADDRESS: CountOrNone
    WRONG_ATTEMPTS_PER_KEY: CountOrNone
    WRONG_ATTEMPTS_MAX_WAIT: Seconds
    AUDIT_LOG: Annotated[Literal["lines", "redis"], BeforeValidator(lower)]
    AUDIT_LOG_LENGTH: Count
    RUNS: bool
    RUNS_KEEP: Count
    RUNS_KEEP_AGE: Annotated[Seconds, Field(ge=60)]
    RUNS_KEEP_BYTES: Count
    RUNS_KEEP_RECORD_BYTES: CountOrNone
    JWT_ISSUERS: Annotated[list[Any], Later(_jwt_issuers)]

    USERS: Annotated[dict[str, Any], Later(_users)]
    SIGN_IN_URL: PagePath
    SIGN_OUT_URL: PagePath
    OIDC_PROVIDERS: Annotated[dict[str, Any], Later(_oidc_providers)]
    SESSION_IDLE_TIMEOUT: Annotated[Seconds, Field(ge=60)]
    SESSION_LIFETIME: Annotated[Seconds, Field(ge=60)]

    OPTIONAL_COMPONENTS: Annotated[
        dict[Annotated[str, AfterValidator(component_name)], Component], BeforeValidator(component_keys_in_any_case)
    ]
    TASK_DRIVERS: TextList
    COMPONENT_DNS_TIMEOUT: Seconds
    COMPONENT_CONNECT_TIMEOUT: Seconds
    COMMAND_CONNECT_TIMEOUT: Seconds
    COMPONENT_DISCONNECT_TIMEOUT: Seconds

    DEBUG: bool
    BETTER_EXCEPTIONS: bool
    BETTER_EXCEPTIONS_MAX_LENGTH: CountOrNone
    DEBUGPY: bool
    DEBUGPY_HOST: ListenedOn
    DEBUGPY_PORT: Port
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

    CHECK_SILENCED: dict[str, Text]

    LOGLEVEL: Annotated[
        Literal["trace", "debug", "info", "success", "warning", "error", "critical"], BeforeValidator(lower)
    ]
    LOG_FORMAT: Annotated[Literal["auto", "json", "text"], BeforeValidator(lower)]
    ACCESS_LOG: bool
    REQUEST_ID: bool

    HOST: ListenedOn
    PORT: Port
    GRACEFUL_TIMEOUT: Annotated[int, BeforeValidator(no_switch), Field(ge=0)]
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
    CELERY_TASK_DEFAULT_QUEUE: Text
    CELERY_TASK_DEFAULT_QUEUE_TYPE: Annotated[Literal["quorum", "classic"], BeforeValidator(lower)]
    TASK_DELIVERY_LIMIT: Count
    TASK_MAX_BYTES: Count
    TASK_MAX_DEPTH: Annotated[Count, Field(le=MAX_TASK_DEPTH)]
    TASK_LIMITS_WITHOUT_REDIS: Annotated[Literal["refuse", "allow"], BeforeValidator(lower)]
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
    NOTIFY: Annotated[dict[str, Any], Later(_notify)]
    WEBHOOKS_OUT: Annotated[dict[str, Any], Later(_webhooks_out)]
    CELERY_TIMEZONE: TimeZone
    FLOWER_PORT: Annotated[int, BeforeValidator(no_switch), Field(ge=1, le=65535)]

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
        from opa.settings.users import sign_out_path

        return sign_out_path(value, info.data.get("SIGN_IN_URL"))

    @field_validator("OIDC_PROVIDERS")
    @classmethod
    def _sent_back_to_us(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        from opa.settings.oidc_providers import check_redirects

        redirects = {name: provider.REDIRECT_URL for name, provider in value.items()}
        paths = info.data.get("SIGN_IN_URL"), info.data.get("SIGN_OUT_URL")
        check_redirects(redirects, *paths, info.data.get("TRUSTED_HOSTS", ["unknown"]))
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

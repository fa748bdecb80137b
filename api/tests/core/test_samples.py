"""The shapes of plugins that users of OpenViper and SPOC have: they run with other imports alone."""

from __future__ import annotations

import sys

from opa import get_plugins, run_group
from tests.project import Project

CLIENT = """
class ServiceClient:
    def __init__(self, url):
        self.url = url

    @classmethod
    async def connect(cls, url="https://service.example.com"):
        return cls(url)
"""


def test_a_top_level_asynchronous_ready_connects_and_warms_a_cache(project: Project) -> None:
    project.plugin(
        "myplugin/__init__.py",
        """
        cache = {}

        async def connect_to_broker():
            cache["broker"] = "connected"

        async def warm_cache():
            cache["warm"] = True

        async def ready() -> None:
            await connect_to_broker()
            await warm_cache()
        """,
    )
    with project.client():
        assert sys.modules["myplugin"].cache == {"broker": "connected", "warm": True}


def test_ready_in_the_submodule_apps_registers_handlers(project: Project) -> None:
    project.plugin("myplugin/__init__.py", "handlers = []")
    project.plugin(
        "myplugin/apps.py",
        """
        from myplugin import handlers

        async def register_event_handlers():
            handlers.append("created")

        async def ready() -> None:
            await register_event_handlers()
        """,
    )
    with project.client():
        assert sys.modules["myplugin"].handlers == ["created"]


def test_a_synchronous_ready_fills_registries(project: Project) -> None:
    project.plugin(
        "myplugin/__init__.py",
        """
        registered = []

        def register_admin_panels():
            registered.append("panels")

        def register_serializer_fields():
            registered.append("fields")

        def ready() -> None:
            register_admin_panels()
            register_serializer_fields()
        """,
    )
    with project.client():
        assert sys.modules["myplugin"].registered == ["panels", "fields"]


def test_state_that_ready_makes_is_used_by_the_plugins_middleware_at_request_time(project: Project) -> None:
    project.plugin(
        "myplugin/__init__.py",
        """
        from myplugin.client import ServiceClient

        _client: ServiceClient | None = None

        async def ready() -> None:
            global _client
            _client = await ServiceClient.connect()

        def get_client() -> ServiceClient:
            if _client is None:
                raise RuntimeError("not ready")
            return _client
        """,
    )
    project.plugin("myplugin/client.py", CLIENT)
    project.plugin(
        "myplugin/middleware.py",
        """
        from opa import BaseMiddleware
        from myplugin import get_client

        class MyPluginMiddleware(BaseMiddleware):
            async def __call__(self, scope, receive, send) -> None:
                if scope["type"] == "http":
                    scope["my_plugin_client"] = get_client()
                await self.app(scope, receive, send)
        """,
    )
    project.plugin(
        "show.py",
        """
        from fastapi import Request
        from opa import get_router

        router = get_router()

        @router.get("/url")
        def url(request: Request):
            return request.scope["my_plugin_client"].url
        """,
    )
    project.settings(MIDDLEWARE=["myplugin.middleware.MyPluginMiddleware"])
    with project.client() as client:
        assert client.get("/url").json() == "https://service.example.com"


def test_an_installed_package_with_ready_and_middleware_is_named_in_the_settings(project: Project) -> None:
    project.plugin(
        "users/__init__.py", "ready_calls = []\nasync def ready() -> None:\n    ready_calls.append(1)", folder="site"
    )
    sys.path.insert(0, str(project.folder / "site"))
    try:
        project.settings(INSTALLED_PLUGINS=["users"])
        with project.client():
            assert sys.modules["users"].ready_calls == [1]
    finally:
        sys.path.remove(str(project.folder / "site"))


def test_functions_classes_and_factories_in_groups_of_any_name(project: Project) -> None:
    project.plugin("myapp/__init__.py")
    project.plugin("myapp/middleware/__init__.py", "from .logging import log_request")
    project.plugin(
        "myapp/middleware/logging.py",
        "import logging\nlogger = logging.getLogger(__name__)\n"
        "def log_request(request):\n    logger.info(request)\n    return request",
    )
    project.plugin(
        "myapp/database.py",
        """
        class Backend:
            def __init__(self):
                self.config = {}
                self.connection = None

            def configure(self, **kwargs):
                self.config = kwargs
                return self

            def connect(self):
                self.connection = ("connected", self.config["host"])
                return self.connection
        """,
    )
    project.plugin(
        "myapp/validators.py",
        """
        def create_email_validator(domain_whitelist=None):
            def validate_email(email):
                return "@" in email and (not domain_whitelist or email.split("@")[1] in domain_whitelist)
            return validate_email
        """,
    )
    project.settings(
        PLUGINS={
            "request_processors": ["myapp.middleware.log_request"],
            "database": [{"URI": "myapp.database.Backend", "OPTS": {"host": "localhost"}}],
            "validators": [
                {
                    "URI": "myapp.validators.create_email_validator",
                    "OPTS": {"domain_whitelist": ["company.com"]},
                    "FACTORY": True,
                }
            ],
        }
    )
    project.prepare()
    assert [outcome.value for outcome in run_group("request_processors", "GET /").values()] == ["GET /"]
    (backend,) = get_plugins("database").values()
    assert backend.connect() == ("connected", "localhost")
    (validate,) = get_plugins("validators").values()
    assert (validate("user@company.com"), validate("user@other.com")) == (True, False)


def test_a_rate_limiter_that_is_configured_by_its_uri(project: Project) -> None:
    project.plugin(
        "limits.py",
        """
        class RateLimiter:
            def __init__(self):
                self.max_requests = 100
                self.counts = {}

            def configure(self, max_requests=100):
                self.max_requests = max_requests
                return self

            def is_allowed(self, key):
                self.counts[key] = self.counts.get(key, 0) + 1
                return self.counts[key] <= self.max_requests
        """,
    )
    project.plugin(
        "guarded.py",
        """
        from fastapi import HTTPException
        from opa import get_plugins, get_router

        router = get_router()

        @router.get("/guarded")
        def guarded():
            if not all(limiter.is_allowed("me") for limiter in get_plugins("limiters").values()):
                raise HTTPException(429)
        """,
    )
    project.settings(PLUGINS={"limiters": [{"URI": "limits.RateLimiter", "OPTS": {"max_requests": 2}}]})
    with project.client() as client:
        assert [client.get("/guarded").status_code for _ in range(3)] == [200, 200, 429]


def test_a_registry_of_the_plugins_own_becomes_the_built_in_one(project: Project) -> None:
    project.plugin(
        "auth.py",
        """
        from opa import register

        @register("request_checks")
        def authenticate(request):
            if "token" not in request:
                raise ValueError("missing token")
            return request

        @register("request_checks")
        def authorize(request):
            return request
        """,
    )
    project.prepare()
    outcomes = run_group("request_checks", {})
    assert str(outcomes["auth.authenticate"].error) == "missing token"
    assert outcomes["auth.authorize"].value == {}

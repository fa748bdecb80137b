"""Sessions: people sign in on a page, and their browser keeps a cookie.

They are in the setting USERS, with a password, or a provider in OIDC_PROVIDERS says who they are. The sessions are in
redis. The command `opa passwd` makes the entry of a user, and `opa sessions end` ends sessions.
"""

from __future__ import annotations

from opa import config

# Without a user and a provider, nothing more is imported.
if config.USERS or config.OIDC_PROVIDERS:
    from importlib.util import find_spec

    from opa import ComponentUnavailableError, OpaError, PluginManager, Setup, get_router, register
    from opa.plugins.access_sessions.component import COMPONENT

    _SETTING = "USERS" if config.USERS else "OIDC_PROVIDERS"
    _HINT = (
        f"Sessions are kept in redis: give the component {COMPONENT} its URL, or take {_SETTING} out of the settings"
    )
    _WITH_PAGES = ("api", "")

    if config.USERS and find_spec("argon2") is None:
        raise OpaError(
            "USERS needs the package argon2-cffi, which is not installed",
            hint="Install it: pip install 'opa-stack[sessions]'",
        )
    if config.OIDC_PROVIDERS and find_spec("joserfc") is None:
        raise OpaError(
            "OIDC_PROVIDERS needs the package joserfc, which is not installed",
            hint="Install it: pip install 'opa-stack[jwt]'",
        )
    _components = {name.lower(): component for name, component in config.OPTIONAL_COMPONENTS.items()}
    if COMPONENT not in _components or _components[COMPONENT].LOAD == "no":
        raise OpaError(f"{_SETTING} needs the component '{COMPONENT}', which is not to be loaded", hint=_HINT)

    from opa.plugins.access_sessions.authenticator import Sessions
    from opa.plugins.access_sessions.pages import Ways
    from opa.plugins.access_sessions.signing import Signing
    from opa.plugins.access_sessions.users import users_in

    router = get_router(include_in_schema=False)

    if config.OIDC_PROVIDERS:
        from opa.plugins.access_sessions.oidc.provider import providers_in
        from opa.plugins.access_sessions.oidc.routes import ProviderRoutes

        _providers = providers_in(config.OIDC_PROVIDERS)
    else:
        _providers = {}
    _users = users_in(config.USERS)
    _ways = Ways(bool(_users), {provider.name: provider.label for provider in _providers.values()})
    _sessions = Sessions(_users, _providers)
    _signing = Signing(_sessions, _ways)
    register("authenticators", uri=__name__)(_sessions)

    router.add_api_route(config.SIGN_IN_URL, _signing.show, methods=["GET", "HEAD"])
    router.add_api_route(config.SIGN_OUT_URL, _signing.sign_out, methods=["POST"])
    if _users:
        from opa.plugins.access_sessions.password_form import PasswordForm

        router.add_api_route(config.SIGN_IN_URL, PasswordForm(_users, _ways).sign_in, methods=["POST"])
    for _provider in _providers.values():
        _routes = ProviderRoutes(_provider, _ways)
        router.add_api_route(Ways.start_path(_provider.name), _routes.start, methods=["GET"])
        router.add_api_route(Ways.callback_path(_provider.name), _routes.callback, methods=["GET"])

    class RedisIsThere(Setup):
        """Sees that the component is, where its host was not found (LOAD auto): nobody could ever sign in."""

        def __init__(self, pm: PluginManager) -> None:
            if pm.mode in _WITH_PAGES and COMPONENT not in pm.optional_components:
                raise ComponentUnavailableError(
                    f"{_SETTING} needs the component '{COMPONENT}', which is {pm.component_states[COMPONENT]}",
                    component=COMPONENT,
                    hint=_HINT,
                )

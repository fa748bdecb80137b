"""Sessions: people of the setting USERS sign in on a page, and their browser keeps a cookie.

The sessions are in redis. The command `opa passwd` makes the entry of a user, and `opa sessions end` ends sessions.
"""

from __future__ import annotations

from opa import config

# Without a user, nothing more is imported.
if config.USERS:
    from importlib.util import find_spec

    from opa import ComponentUnavailableError, OpaError, PluginManager, Setup, get_router, register
    from opa.plugins.access_sessions.component import COMPONENT

    _HINT = f"Sessions are kept in redis: give the component {COMPONENT} its URL, or take USERS out of the settings"
    _WITH_PAGES = ("api", "")

    if find_spec("argon2") is None:
        raise OpaError(
            "USERS needs the package argon2-cffi, which is not installed",
            hint="Install it: pip install 'opa-stack[sessions]'",
        )
    _components = {name.lower(): component for name, component in config.OPTIONAL_COMPONENTS.items()}
    if COMPONENT not in _components or _components[COMPONENT].LOAD == "no":
        raise OpaError(f"USERS needs the component '{COMPONENT}', which is not to be loaded", hint=_HINT)

    from opa.plugins.access_sessions.authenticator import Sessions
    from opa.plugins.access_sessions.pages import Ways
    from opa.plugins.access_sessions.password_form import PasswordForm
    from opa.plugins.access_sessions.signing import Signing
    from opa.plugins.access_sessions.users import users_in

    _users = users_in(config.USERS)
    _sessions = Sessions(_users)
    _ways = Ways(has_form=True)
    _signing = Signing(_sessions, _ways)
    register("authenticators", uri=__name__)(_sessions)

    router = get_router(include_in_schema=False)
    router.add_api_route(config.SIGN_IN_URL, _signing.show, methods=["GET", "HEAD"])
    router.add_api_route(config.SIGN_IN_URL, PasswordForm(_users, _ways).sign_in, methods=["POST"])
    router.add_api_route(config.SIGN_OUT_URL, _signing.sign_out, methods=["POST"])

    class RedisIsThere(Setup):
        """Sees that the component is, where its host was not found (LOAD auto): nobody could ever sign in."""

        def __init__(self, pm: PluginManager) -> None:
            if pm.mode in _WITH_PAGES and COMPONENT not in pm.optional_components:
                raise ComponentUnavailableError(
                    f"USERS needs the component '{COMPONENT}', which is {pm.component_states[COMPONENT]}",
                    component=COMPONENT,
                    hint=_HINT,
                )

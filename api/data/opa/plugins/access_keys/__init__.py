"""API keys: who has one sends it as `Authorization: Bearer opa_…`, or in the header X-API-Key.

They are kept as hashes, in redis or in the setting ACCESS_KEYS; the command `opa keys` makes and revokes them. What
looks one up is imported when the first request is asked who sends it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from fastapi.security import HTTPBearer

from opa import config, get_plugin_manager, register
from opa.plugins.access_keys.component import COMPONENT

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from opa import Actor
    from opa.plugins.access_keys.check import KeyCheck


class ApiKeys:
    """The authenticator."""

    kind = "key"
    challenge = "Bearer"

    def __init__(self) -> None:
        self.may_be_unavailable = _may_be_in_redis()

    @cached_property
    def security_scheme(self) -> HTTPBearer:
        """What the OpenAPI document says."""
        return HTTPBearer(scheme_name="ApiKey", bearerFormat="opa_…", description="A key of `opa keys create`.")

    @cached_property
    def _check(self) -> KeyCheck:
        from opa.plugins.access_keys.check import KeyCheck

        return KeyCheck(get_plugin_manager())

    async def __call__(self, connection: HTTPConnection) -> Actor | None:
        """Who sends the request, where it has an API key.

        Raises:
            RefusedCredentialError: the key is no good.
            ComponentUnavailableError: redis, which has the keys, does not answer.
        """
        from opa.plugins.access_keys.check import token_in

        token = token_in(connection.scope["headers"])
        return None if token is None else await self._check.actor(token)


def _may_be_in_redis() -> bool:
    components = {name.lower(): component for name, component in config.OPTIONAL_COMPONENTS.items()}
    return COMPONENT in components and components[COMPONENT].LOAD != "no"


# Who has neither redis nor a key in the settings has no use for it.
if config.ACCESS_KEYS or _may_be_in_redis():
    register("authenticators")(ApiKeys)

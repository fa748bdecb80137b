"""An authenticator with every kind of credential, for tests."""

from __future__ import annotations

BADGES = """
    from fastapi.security import APIKeyHeader
    from opa import Actor, RefusedCredentialError, register

    SCOPES = {"anna": {"shop:*", "admin"}, "ben": {"other"}}
    asked = []

    @register("authenticators")
    class Badges:
        challenge = "Badge"
        security_scheme = APIKeyHeader(name="X-Badge", scheme_name="badge", auto_error=False)

        async def __call__(self, connection):
            asked.append(connection.url.path)
            badge = connection.headers.get("X-Badge")
            if badge is None:
                return None
            if badge not in SCOPES:
                raise RefusedCredentialError(f"a {badge} badge")
            return Actor(f"badge:{badge}", "badge", frozenset(SCOPES[badge]))
"""
RIGHT = {"X-Badge": "anna"}
WITHOUT_SCOPE = {"X-Badge": "ben"}
NO_GOOD: dict[str, dict[str, str]] = {
    "none": {},
    "wrong": {"X-Badge": "wrong"},
    "expired": {"X-Badge": "expired"},
    "revoked": {"X-Badge": "revoked"},
}

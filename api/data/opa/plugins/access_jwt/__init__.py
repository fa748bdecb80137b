"""Who is calling, by a JSON Web Token (JWT) of an issuer in the setting JWT_ISSUERS."""

from importlib.util import find_spec

from opa import OpaError, config, register

# Without an issuer, nothing more is imported.
if config.JWT_ISSUERS:
    if find_spec("joserfc") is None:
        raise OpaError(
            "JWT_ISSUERS needs the package joserfc, which is not installed",
            hint="Install it: pip install 'opa-stack[jwt]'",
        )

    from opa.plugins.access_jwt.authenticator import JwtAuthenticator

    register("authenticators", uri=__name__)(JwtAuthenticator.from_settings(config.JWT_ISSUERS))

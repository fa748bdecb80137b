"""Whether what others sign or sign in with can be guessed: secrets of JWT and of webhooks, and passwords of people."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.guessable import WORDS, why_guessed
from opa.checks.deploy.webhooks_out import weak_secrets_of_outgoing
from opa.checks.finding import Finding
from opa.settings.envs import current_envs

SHORTEST_OF_JWT = 32
"""Characters; fewer are refused by the setting itself."""
SHORTEST_OF_WEBHOOK = 16
MOST_USERS = 20
"""Whose hashes are compared with the words that everyone would try: each takes a second of the processor."""


def weak_jwt_secrets(deployment: Declared) -> Iterator[Finding]:
    """A finding for each issuer whose secret is guessed: anyone makes tokens of anybody with it."""
    if deployment.mode != "api":
        return
    for number, issuer in enumerate(deployment.config.JWT_ISSUERS):
        problem = None if issuer["SECRET"] is None else why_guessed(issuer["SECRET"], SHORTEST_OF_JWT)
        if problem:
            kind = OpenDoor if current_envs() else Finding
            yield kind(
                f"the secret of the issuer {issuer['ISSUER']} is guessed: it {problem}. Who knows it makes tokens of"
                " anybody",
                where=f"JWT_ISSUERS.{number}.SECRET, {deployment.config.source('JWT_ISSUERS')}",
                hint="Give the issuer the output of `openssl rand -hex 32`, here and there",
            )


def jwt_without_tls(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each issuer whose keys are fetched in plain text, which development alone allows."""
    for issuer in deployment.config.JWT_ISSUERS if deployment.mode == "api" else ():
        place = issuer["JWKS_URL"] or issuer["ISSUER"]
        if issuer["SECRET"] is None and place.startswith("http://"):
            yield Finding(
                f"the keys of the issuer {issuer['ISSUER']} come in plain text: anyone on the way can make tokens",
                where=deployment.config.source("JWT_ISSUERS"),
                hint="Give it the https:// URL of the issuer",
            )


def weak_webhook_secrets(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each route whose webhooks are signed with a secret that is guessed, and each outgoing webhook."""
    yield from weak_secrets_of_outgoing(deployment.config)
    app = deployment.application
    if app is None or deployment.mode != "api":
        return
    from opa.errors import OpaError
    from opa.http.access.documented import calls_in
    from opa.http.webhooks.signed import SignedBody

    told = set()
    for route, _ in app.routes_with_routers():
        for call in calls_in(getattr(route, "dependant", None)):
            if not isinstance(call, SignedBody) or call in told:
                continue
            told.add(call)
            path = getattr(route, "path_format", "")
            try:
                secrets = call.secrets()
            except OpaError as error:
                yield NotChecked(f"{path}: {error.problem}", where=path, hint=error.hint or "Give it a secret")
                continue
            problems = (why_guessed(secret.decode(), SHORTEST_OF_WEBHOOK) for secret in secrets)
            if problem := next(filter(None, problems), None):
                yield Finding(
                    f"the secret of the webhooks at {path} is guessed: it {problem}",
                    where=f"route {path}",
                    hint="Give the sender the output of `openssl rand -hex 32`, here and there",
                )


def weak_user_passwords(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each user whose password is the name of the user, or a word that everyone would try."""
    users = deployment.config.USERS if deployment.mode == "api" else {}
    if not users or find_spec("argon2") is None:  # without it, the page does not start
        return
    from opa.plugins.access_sessions.passwords import is_hash_of

    for number, (name, user) in enumerate(users.items()):
        where = deployment.config.source(f"USERS.{name}.PASSWORD")
        if number == MOST_USERS:
            left = len(users) - MOST_USERS
            yield NotChecked(f"passwords of {left} further users were not tried", where=where, hint="Try them by hand")
            return
        if any(is_hash_of(user["PASSWORD"], word) for word in (name, *sorted(WORDS))):
            yield Finding(
                f"the password of user '{name}' is a word that everyone would try",
                where=where,
                hint=f"Make a hash of another one with `opa passwd {name}`",
            )

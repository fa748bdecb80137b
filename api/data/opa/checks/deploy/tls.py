"""Whether the servers of components are the ones that they say they are, and whether clients say who they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opa.checks.deploy.addresses import Option, nested, options_in_url, options_of_celery, urls_in, used_components
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from opa.checks.deploy.check import Deployment
    from opa.settings.config import Config

_CLIENT_CERTIFICATE = frozenset({"ssl_certfile", "certfile", "tlscertificatekeyfile"})
"""The options of redis-py, of py-amqp and of PyMongo with which a client shows who it is."""
_ON, _OFF = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", "f", "n"})
# `ssl.CERT_NONE`, which only settings in Python have, is the number 0.
_NO_CERTIFICATE = frozenset({"none", "cert_none", "verifymode.cert_none", "0"})
_TURNED_OFF_BY = {
    "ssl_cert_reqs": _NO_CERTIFICATE,
    "cert_reqs": _NO_CERTIFICATE,
    "ssl_check_hostname": _OFF,
    "tlsallowinvalidcertificates": _ON,
    "tlsallowinvalidhostnames": _ON,
    "tlsinsecure": _ON,
}
"""Options that say whether the certificate of the server is verified, with the values by which it is not."""


def has_client_certificate(options: Iterable[Option]) -> bool:
    """Whether the server gets a certificate, by which it may know the client without a password."""
    return any(name in _CLIENT_CERTIFICATE and value for name, value in options)


def unverified_servers(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each option with a server whose certificate is not verified, so that it may be anybody's."""
    config = deployment.config
    for name, options in used_components(config):
        for key, value in options.items():
            if names := _turned_off(_said_by(config, str(key), value)):
                yield Finding(
                    f"component '{name.lower()}' does not verify the certificate of its server ({', '.join(names)}):"
                    " anyone on the way there can read and change what is sent",
                    where=f"{key}, {config.source(f'OPTIONAL_COMPONENTS.{name}.OPTS.{key}')}",
                    hint="Remove the option, and name the file of the authority that has signed the certificate",
                )


def _said_by(config: Config, key: str, value: Any) -> list[Option]:
    """What one option says: each URL in it, with the settings that are about it, or the option itself."""
    if urls := [*urls_in(value)]:
        return [*(option for url in urls for option in options_in_url(url)), *options_of_celery(config, key)]
    return [*nested({key: value})]


def _turned_off(options: Iterable[Option]) -> list[str]:
    """The names of the options by which the certificate of the server is not verified, each once."""
    names = (name for name, value in options if str(value).strip().lower() in _TURNED_OFF_BY.get(name, ()))
    return [*dict.fromkeys(names)]

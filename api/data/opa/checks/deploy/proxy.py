"""Whether the api knows the proxy at which TLS ends: it serves plain HTTP."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

PROXIES = "FORWARDED_ALLOW_IPS"
_LARGEST_PRIVATE = {4: 8, 6: 7}
"""The bits that the addresses of the largest private network have in common: 10.0.0.0/8 and fc00::/7."""
_IPV4_IN_IPV6 = ipaddress.IPv6Network("::ffff:0:0/96")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def unknown_proxy(deployment: Deployment) -> Iterator[Finding]:
    """Whether the address and the scheme of a request are those of the proxy alone, or anyone's to write."""
    if deployment.mode != "api":
        return
    proxies = deployment.environ.get(PROXIES, "").replace(",", " ").split()
    where = f"environment variable {PROXIES}"
    hint = "Set it to the address of the proxy that speaks TLS"
    if not proxies:
        problem = (
            "is not set: no proxy is known that speaks TLS, and each request counts as plain HTTP from its address"
        )
        yield Finding(f"{PROXIES} {problem}", where=where, hint=hint)
    elif "*" in proxies:
        yield Finding(f'{PROXIES} is "*": any client may write its own address and scheme', where=where, hint=hint)
    elif wide := [str(network) for network in _networks(proxies) if _is_wide(network)]:
        yield Finding(
            f"{PROXIES} has {', '.join(wide)}, larger than any private network: clients there may write their own"
            " address and scheme",
            where=where,
            hint=hint,
        )


def _networks(proxies: Iterable[str]) -> list[_Network]:
    """Those that are written, neighbours as the one that they are together; what is no address is left out."""
    of_4: list[ipaddress.IPv4Network] = []
    of_6: list[ipaddress.IPv6Network] = []
    for proxy in proxies:
        try:
            network = ipaddress.ip_network(proxy)
        except ValueError:
            continue
        if isinstance(network, ipaddress.IPv4Network):
            of_4.append(network)
        else:
            of_6.append(network)
    return [*ipaddress.collapse_addresses(of_4), *ipaddress.collapse_addresses(of_6)]


def _is_wide(network: _Network) -> bool:
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_IPV4_IN_IPV6):
        return network.prefixlen - _IPV4_IN_IPV6.prefixlen < _LARGEST_PRIVATE[4]
    return network.prefixlen < _LARGEST_PRIVATE[network.version]

"""Which `Host` a request may have: one that is well-formed, and of those in TRUSTED_HOSTS where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.types import Scope

from opa._util.patterns import lazy_pattern

# RFC 9110, 7.2: a name, an IPv4 address or an IPv6 one in brackets, and perhaps a port. `_` is no part of a host's DNS
# name, and is one of many a container's.
_FORM = lazy_pattern(rb"(?:[A-Za-z0-9_.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_REMEMBERED = 256


class HostCheck:
    """Tells what is wrong with the `Host` of a request.

    Args:
        trusted: names that it may have, in lower case and without a port; `*.example.com` is each name below that one.
            Empty: any.
        is_exempt: whether any name will do for this request.

    Attributes:
        good: values of the header of which it is known that nothing is wrong with them, for any request.
    """

    def __init__(self, trusted: Iterable[str], is_exempt: Callable[[Scope], bool]) -> None:
        names = set(trusted)
        self._any = not names or "*" in names
        self._names = frozenset(name for name in names if not name.startswith("*."))
        self._endings = tuple(name[1:] for name in names if name.startswith("*."))
        self._is_exempt = is_exempt
        self.good: set[bytes | None] = set()

    def problem(self, scope: Scope) -> str | None:
        """What is wrong with the request's `Host`; None where nothing is."""
        host: bytes | None = None
        for name, value in scope["headers"]:
            if name == b"host":
                if host is not None:
                    return "there is more than one Host header"
                host = value
        if host in self.good:
            return None
        return self._look(host, scope)

    def _look(self, host: bytes | None, scope: Scope) -> str | None:
        if host is None:
            # HTTP/1.0 has none, and it is HTTP/2's `:authority`, which a server gives as one.
            if scope.get("http_version") == "1.1":
                return "the Host header is missing"
            return None if self._any or self._is_exempt(scope) else "the Host header is missing"
        if not _FORM.fullmatch(host):
            return "the Host header is not a host and port"
        if not self._any and not self._is_trusted(host):
            return None if self._is_exempt(scope) else "this host is not served here"
        if len(self.good) < _REMEMBERED:
            self.good.add(host)
        return None

    def _is_trusted(self, host: bytes) -> bool:
        name = name_of(host.decode("ascii"))
        return name in self._names or name.endswith(self._endings)


def name_of(host: str) -> str:
    """The name or address in a `Host`, without its port and the dot of a full name, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower().removesuffix(".")

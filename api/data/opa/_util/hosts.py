"""Host names: which ones a URL names, and whether they resolve."""

from __future__ import annotations

import ipaddress
import socket
import threading
from urllib.parse import unquote, urlsplit

_NO_URL = (
    "URL cannot be used: there are brackets that do not fit, or a character that no host may have, before its path"
)

_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""What a resolver says of a name that is none, or has no address; not all systems have both."""


def hosts_in_url(url: str) -> tuple[str, ...]:
    """The host names that a service's URL lists, in its order.

    Knows the forms of the drivers' libraries: several hosts in one URL (`mongodb://a,b:27018/db`), several URLs
    (`amqp://a;amqp://b`, Celery's fail-over list), credentials with any character but `/`, `?` and `#`. Gives
    nothing for what has no host that DNS could look up: sockets, files, `memory://`, and `…+srv://`, whose
    name is no host but an SRV record.

    Raises:
        ValueError: it is no URL; the message repeats nothing of it, which may be of a password.
    """
    hosts: list[str] = []
    for part in url.split(";"):
        try:
            parts = urlsplit(part.strip())
        except ValueError:
            raise ValueError(_NO_URL) from None
        if parts.scheme.endswith("+srv"):
            continue
        for address in parts.netloc.rpartition("@")[2].split(","):
            host = _without_port(address)
            if host and not host.startswith("/"):
                hosts.append(host)
    return tuple(dict.fromkeys(hosts))


def _without_port(address: str) -> str:
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return unquote(address.partition(":")[0])


def resolves(host: str, time_limit: float) -> bool:
    """Whether `host` has an address, as far as the resolver says within `time_limit` seconds."""
    return is_address(host) or _looked_up(host, time_limit) is True


def is_unknown(host: str, time_limit: float) -> bool:
    """Whether the resolver says within `time_limit` seconds that there is no such host."""
    return not is_address(host) and _looked_up(host, time_limit) is False


def _looked_up(host: str, time_limit: float) -> bool | None:
    """Whether it has an address; None where nobody knows.

    The look-up runs in a thread of its own, because `getaddrinfo` cannot be interrupted: past the limit it is left to
    end by itself.
    """
    found: list[bool | None] = []
    thread = threading.Thread(target=lambda: found.append(_look_up(host)), name=f"resolve-{host}", daemon=True)
    thread.start()
    thread.join(time_limit)
    return found[0] if found else None


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, which has to be looked up nowhere."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether what listens on `host` is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_here_alone(host: str) -> bool:
    """Whether a host, without a port, is a name or an address that nobody elsewhere can let lead to this machine.

    A page on the internet can do so with a name of its own, and have a browser on this machine read what answers.
    """
    return is_address(host.strip("[]")) or host == "localhost" or host.endswith(".localhost")


def _look_up(host: str) -> bool | None:
    try:
        socket.getaddrinfo(host, None)
    except UnicodeError:
        return False
    except OSError as error:
        return False if error.errno in _NO_SUCH_HOST else None
    return True

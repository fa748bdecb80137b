"""What the settings that name hosts may hold.

TRUSTED_HOSTS and ALLOW_ORIGINS are compared with headers letter by letter; HOST, DEBUGPY_HOST and OPERATING_HOST are
listened on.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from opa._util.patterns import lazy_pattern
from opa.settings.quoting import QuotingError

OF_ANYBODY = ("null", "file://")
"""Origins that name nobody: any site can have a frame of the first, and every file that is opened is of the second, as
Electron's pages are.
"""

AN_ORIGIN = 'an origin such as "https://example.com" or "http://localhost:3000"'
A_HOST = 'such as "example.com" or "*.example.com"'

_ORIGIN = lazy_pattern(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_SCHEME = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = lazy_pattern(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_LISTENED_ON = lazy_pattern(r"(?=.{1,253}\.?$)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_NUMBERS = lazy_pattern(r"[0-9.]+")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origins(values: list[str]) -> list[str]:
    """The values, if each is an origin as a browser writes it, `*`, or one of `OF_ANYBODY`.

    Raises:
        QuotingError: one of them would never be equal to what a browser sends; the message says what to write.
    """
    for value in values:
        if value not in ("*", *OF_ANYBODY) and (problem := _problem_of_origin(value)):
            raise QuotingError(
                f'should not have "{value}": {problem}', general=f"should not have what is not {AN_ORIGIN}"
            )
    return values


def _problem_of_origin(value: str) -> str | None:  # noqa: PLR0911 - one for each mistake
    if not value:
        return "it is empty; remove it"
    if value != "".join(value.split()):
        return "there is a space in it; write each origin as an item of its own"
    if "*" in value:
        return "there are no wildcards, name each origin; `*` alone is every origin"
    scheme = _SCHEME.match(value)
    if scheme is None:
        return f'the scheme is missing; write "https://{_authority(value) or "example.com"}"'
    authority = _authority(value[scheme.end() :])
    name = scheme[0][:-3].lower()
    meant = f"{name}://{authority}".lower().removesuffix(_DEFAULT_PORTS.get(name, ":"))
    if not authority.isascii():
        return f'a browser writes the name in ASCII; write "{name}://{_in_ascii(authority)}"'
    if value != meant and _ORIGIN.fullmatch(meant):
        return f'an origin is a scheme, a host and perhaps a port; write "{meant}"'
    if not _ORIGIN.fullmatch(value) or not _has_port(value):
        return f"it is not {AN_ORIGIN}"
    return None


def _authority(text: str) -> str:
    return re.split(r"[/?#\\]", text, maxsplit=1)[0].rpartition("@")[2]


def _in_ascii(authority: str) -> str:
    try:
        return authority.lower().encode("idna").decode()
    except UnicodeError:
        return "xn--…"


def _has_port(origin: str) -> bool:
    """Whether the port, where there is one, is one that there can be."""
    try:
        return urlsplit(origin).port != 0
    except ValueError:
        return False


def hosts(values: list[str]) -> list[str]:
    """The values, if each is the name of a host, `*.NAME` or `*`.

    Raises:
        QuotingError: one of them is none; the message says what to write.
    """
    for value in values:
        if value != "*" and not _HOST.fullmatch(value):
            meant = _authority(value.partition("://")[2] or value).lower().strip().removesuffix(".")
            meant = meant if meant.startswith("[") and meant.endswith("]") else re.sub(r":[0-9]*$", "", meant)
            advice = f'write "{meant}"' if _HOST.fullmatch(meant) else f"write {A_HOST}"
            problem = "it is not a host name without scheme and port"
            raise QuotingError(
                f'should not have "{value}": {problem}; {advice}',
                general=f"should not have what is not a host name without scheme and port, {A_HOST}",
            )
    return values


def listened_on(value: str) -> str:
    """The value, if it may be an address or the name of a host; whether it is one of this machine shows at the start.

    Raises:
        QuotingError: it can be neither; the message says what to write.
    """
    if _is_listened_on(value):
        return value
    meant = _authority(value.partition("://")[2] or value).strip()
    meant = "0.0.0.0" if meant == "*" else meant
    meant = meant[1:].partition("]")[0] if meant.startswith("[") else re.sub(r":[0-9]*$", "", meant)
    general = 'write such as "127.0.0.1", "::1" or "localhost"'
    advice = f'write "{meant}"' if _is_listened_on(meant) else general
    port = ", the port is a setting of its own" if re.search(r"[^:]:[0-9]+/?$", value) else ""
    problem = "should be an address or the name of a host"
    raise QuotingError(f"{problem}; {advice}{port}", general=f"{problem}; {general}{port}")


def _is_listened_on(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        return True
    try:
        name = value if value.isascii() else value.encode("idna").decode()
    except UnicodeError:
        return False
    if _NUMBERS.fullmatch(name):  # the resolver knows more forms, such as 127.1
        try:
            socket.inet_aton(name)
        except OSError:
            return False
    return _LISTENED_ON.fullmatch(name) is not None

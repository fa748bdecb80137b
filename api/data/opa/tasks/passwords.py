"""A password that stands beside the URL of a server, so that it can come from a file that the server reads as well."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

_URL = re.compile(r"\s*(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def with_password(url: Any, password: Any, option: str) -> Any:
    """The URL with this password in the place of its own; unchanged if there is none of them.

    Celery takes passwords from URLs alone where there are several, of which it uses the next when one fails.

    Args:
        url: one, several that are joined by `;`, or a list of them.
        password: as it is, without any encoding.
        option: the name of the password, for people.

    Raises:
        ValueError: a URL has no host; the message repeats nothing of it.
    """
    if not url or password is None or password == "":
        return url
    if isinstance(url, list | tuple):
        return [with_password(each, password, option) for each in url]
    return ";".join(_with_password(each, str(password), option) for each in str(url).split(";"))


def _with_password(url: str, password: str, option: str) -> str:
    found = _URL.fullmatch(url)
    user, _, hosts = found["place"].rpartition("@") if found else ("", "", "")
    if found is None or not hosts:
        raise ValueError(f"{option} is for a server, and its URL has no host")
    name = user.partition(":")[0]
    return f"{found['scheme']}://{name}:{quote(password, safe='')}@{hosts}{found['rest']}"

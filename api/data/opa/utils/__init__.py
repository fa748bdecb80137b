"""Small helpers for plugins; the names are those of the original opa-stack."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from opa._util.hosts import hosts_in_url, resolves

Item = TypeVar("Item", bound=Hashable)

DNS_TIMEOUT = 2.0


def unique(items: Iterable[Item]) -> list[Item]:
    """The items without doubles; the first of each stays where it is."""
    return list(dict.fromkeys(items))


def filter_dict_to_function(values: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """Those of `values` that `function` has a named parameter for.

    Raises:
        KeyError: a parameter without a default is not among `values`.
    """
    chosen = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if parameter.name == "self":
            continue
        if parameter.name in values:
            chosen[parameter.name] = values[parameter.name]
        elif parameter.default is parameter.empty:
            raise KeyError(parameter.name)
    return chosen


def host_exists(data: str, resolver: str | Callable[[str], str] | None = None) -> bool:
    """Whether a host name resolves within 2 seconds.

    Args:
        data: a host name, or what `resolver` turns into one.
        resolver: `"database-url"` where `data` is a URL (one of its hosts is enough), or a function that
            gives the host name.
    """
    if resolver == "database-url":
        hosts = hosts_in_url(data)
    elif callable(resolver):
        hosts = (resolver(data),)
    else:
        hosts = (data,)
    return any(resolves(host, DNS_TIMEOUT) for host in hosts) or not hosts

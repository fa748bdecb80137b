"""What is true of each measurement, however short it was and however busy the machine: else it has not measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

from bench.calls import CallCost
from bench.components import ComponentStart
from bench.events import EmitCost
from bench.growth import Growth
from bench.limited import LimitCost
from bench.log_lines import LINES, LineCost
from bench.memory import Memory
from bench.model import ModelCost
from bench.openapi import OpenApiCost
from bench.parts import Found
from bench.profile import Profile
from bench.protocol import RequestCost
from bench.reload import Reload
from bench.routes import RouteCost
from bench.small import Small
from bench.startup import Startup
from bench.suite import Suites


def implausible(found: Mapping[str, Found]) -> list[str]:
    """A line for each measurement that shows what cannot be.

    Args:
        found: by the name of its part.
    """
    return [f"{name} cannot be: {one.details}" for name, one in found.items() if not CHECKS[name](one.details)]


def _are_positive(details: Any) -> bool:
    return min(_numbers(details)) > 0


def _numbers(details: Any) -> Iterator[float]:
    """All numbers in dicts, lists and tuples."""
    if isinstance(details, Mapping):
        details = list(details.values())
    if isinstance(details, list | tuple):
        for each in details:
            yield from _numbers(each)
    elif isinstance(details, int | float):
        yield details


def _routes(cost: RouteCost) -> bool:
    same = cost.microseconds.keys() == cost.bare.keys() == cost.ratios.keys()
    return same and len(cost.ratios) == 7 and _are_positive(astuple(cost))


def _openapi(cost: OpenApiCost) -> bool:
    sizes = cost.bare.size > cost.built.size == cost.at_once.size != cost.changed.size
    return sizes and _are_positive(astuple(cost))


def _memory(memory: Memory) -> bool:
    return memory.idle[1] < memory.idle[2] < 2 * memory.idle[1] and memory.busy[1] < memory.busy[2]


def _calls(cost: CallCost) -> bool:
    return cost.pluggy_by_hook > 1 and cost.hook_by_call > 1 and cost.setting_by_attribute > 0


def _log(cost: LineCost) -> bool:
    return cost.more.keys() == LINES.keys() and _are_positive((cost.masked, cost.plain))


def _events(cost: EmitCost) -> bool:
    return _are_positive(astuple(cost))


def _reload(found: Reload) -> bool:
    return _are_positive(astuple(found))


def _components(start: ComponentStart) -> bool:
    return min(start.one, start.many) > 1 and start.ratio > 0


def _model(cost: ModelCost) -> bool:
    return min(cost.importing, cost.nothing, cost.everything) > 0


def _profile(profile: Profile) -> bool:
    bare = (profile.bare_start, profile.bare_request)
    stack = (profile.start["import the plugins"], profile.request)
    return all(each["FastAPI"] > 0 for each in (*stack, *bare)) and not any("opa-stack" in each for each in bare)


def _growth(growth: Growth) -> bool:
    return len(growth.stack) == len(growth.bare) == len(growth.plugins) and _are_positive(astuple(growth))


def _small(small: Small) -> bool:
    return _are_positive(astuple(small))


def _suite(suite: Suites) -> bool:
    return suite.nothing > 0 and suite.applications > 0


def _startup(startup: Startup) -> bool:
    return _are_positive(astuple(startup))


def _limits(cost: RequestCost) -> bool:
    return _are_positive(astuple(cost))


def _limited(cost: LimitCost) -> bool:
    return _are_positive(
        (cost.plain, cost.limited, cost.alone, cost.guarded)
    )  # how much more it is may be lost in the noise


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "hello": lambda details: details["ratio"] > 0,
    "metrics": lambda details: details["ratio"] > 0,
    "sql": lambda details: details["ratio"] > 0,
    "routes": _routes,
    "small": _small,
    "startup": _startup,
    "openapi": _openapi,
    "memory": _memory,
    "calls": _calls,
    "limits": _limits,
    "limited": _limited,
    "log": _log,
    "reload": _reload,
    "components": _components,
    "events": _events,
    "tasks": _are_positive,
    "model": _model,
    "suite": _suite,
    "profile": _profile,
    "growth": _growth,
}
"""By the name of a part."""

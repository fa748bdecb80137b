"""Whether a hook takes what its definition says that callers give."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from inspect import Parameter, Signature

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def signature_of_run(cls: type) -> Signature | None:
    """What `run` of a class is called with, without `self`; None where that cannot be told."""
    try:
        signature = inspect.signature(cls.run)  # type: ignore[attr-defined]  # asked of classes that have one
    except (TypeError, ValueError):
        return None
    parameters = list(signature.parameters.values())
    is_bound = isinstance(inspect.getattr_static(cls, "run"), staticmethod | classmethod)
    if not is_bound and parameters and parameters[0].kind in _BY_POSITION:
        parameters = parameters[1:]
    return signature.replace(parameters=parameters)


def misfit(defined: Signature, filled: Signature) -> str | None:
    """Why some call that fits `defined` does not fit `filled`; None where all do."""
    takes = _Takes(filled)
    ordered = [each for each in defined.parameters.values() if each.kind in _BY_POSITION]
    problems = (
        problem
        for parameter in defined.parameters.values()
        for problem in takes.problems_of(parameter, ordered, has_args=_has(defined, Parameter.VAR_POSITIONAL))
    )
    return next(problems, None) or takes.problem_of_rest()


class _Takes:
    """What a hook takes, and which of it callers are known to give."""

    def __init__(self, signature: Signature) -> None:
        self._by_name = {each.name: each for each in signature.parameters.values() if each.kind in _BY_NAME}
        self._by_position = [each for each in signature.parameters.values() if each.kind in _BY_POSITION]
        self._all = [*self._by_position, *self._by_name.values()]
        self._has_args = _has(signature, Parameter.VAR_POSITIONAL)
        self._has_kwargs = _has(signature, Parameter.VAR_KEYWORD)
        self._given: set[str] = set()

    def problems_of(self, parameter: Parameter, ordered: Sequence[Parameter], *, has_args: bool) -> Iterator[str]:
        """Why it does not take a parameter of the definition.

        Args:
            parameter: of the definition.
            ordered: all that callers give by position.
            has_args: whether they may give more by position.
        """
        name = parameter.name
        own = self._by_name.get(name)
        match parameter.kind:
            case Parameter.VAR_POSITIONAL if not self._has_args:
                yield f"it takes no *{name}"
            case Parameter.VAR_KEYWORD if not self._has_kwargs:
                yield f"it takes no **{name}"
            case Parameter.POSITIONAL_ONLY | Parameter.POSITIONAL_OR_KEYWORD:
                position = ordered.index(parameter)
                at = self._by_position[position] if position < len(self._by_position) else None
                if at is None and not self._has_args:
                    yield f"it takes no '{name}' as argument {position + 1}"
                if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD:
                    yield from self._problems_of_name(name, own, at, position)
                if at is not None:
                    yield from self._given_by(parameter, at)
            case Parameter.KEYWORD_ONLY:
                if own is None and not self._has_kwargs:
                    yield f"it takes no argument named '{name}'"
                if own in self._by_position and (has_args or self._by_position.index(own) < len(ordered)):
                    yield f"its '{name}' is taken by position as well"
                if own is not None:
                    yield from self._given_by(parameter, own)

    def problem_of_rest(self) -> str | None:
        """What it needs, and callers do not give."""
        missing = [each.name for each in self._all if _is_required(each) and each.name not in self._given]
        return f"it needs '{missing[0]}', which callers do not give" if missing else None

    def _problems_of_name(self, name: str, own: Parameter | None, at: Parameter | None, position: int) -> Iterator[str]:
        """Callers may give it by position and by name."""
        if own is None and (not self._has_kwargs or (at is not None and _is_required(at))):
            yield f"it takes no argument named '{name}'"
        if own is not None and own is not at:
            yield f"its '{name}' is not argument {position + 1}"

    def _given_by(self, parameter: Parameter, own: Parameter) -> Iterator[str]:
        self._given.add(own.name)
        if parameter.default is not Parameter.empty and _is_required(own):
            yield f"its '{own.name}' has no default, and callers may leave it out"


def _has(signature: Signature, kind: object) -> bool:
    return any(each.kind is kind for each in signature.parameters.values())


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty

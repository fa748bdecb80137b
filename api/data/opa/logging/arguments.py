"""Arguments of a message, masked while it is known what belongs to which name, and only where a line is written."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from logging import LogRecord
from string import Formatter
from typing import Any

from opa._util.masking.secrets import MASK, PRINTED_WHOLE, looks_secret, masked_argument, may_hold_secret

PLAIN = frozenset({str, int, float, bool, type(None)})
"""What is formatted as it is, unless it has a telling name: the text is masked anyway."""


class Shown:
    """Stands for `value` in `str.format`: as a text it is masked. What is a plain value of no telling name needs none.

    Args:
        value: as it was given; a sink of the user's own finds it under `extra`.
        name: of the argument.
    """

    __slots__ = ("name", "value")

    def __init__(self, value: Any, name: str = "") -> None:
        self.value = value
        self.name = name

    def __format__(self, form: str) -> str:
        shown = self._masked()
        return MASK if shown is MASK else format(shown, form)

    def __str__(self) -> str:
        return str(self._masked())

    def __repr__(self) -> str:
        return repr(self._masked())

    def __getitem__(self, key: Any) -> Any:  # `{0[key]}`
        return shown(self.value[key], str(key))

    def __getattr__(self, name: str) -> Any:  # `{0.name}`
        if name in self.__slots__ or name.startswith("__"):  # an empty copy has none
            raise AttributeError(name)
        return shown(getattr(self.value, name), name)

    def _masked(self) -> Any:
        try:
            return masked_argument(self.value, self.name)
        except RecursionError:  # it holds itself: its text is masked when the line is written
            return self.value


def shown(value: Any, name: str = "") -> Any:
    """What stands for `value` in a message."""
    return value if type(value) in PLAIN and not (name and looks_secret(name)) else Shown(value, name)


def std_message(record: LogRecord) -> str:
    """The message of a record of the standard library, masked where it has what arguments say is secret.

    Raises:
        Exception: the arguments do not fit, or cannot be made a text.
    """
    message, arguments = record.msg, record.args
    if type(message) is str:
        are_plain, are_printed = True, True
        if type(arguments) is tuple:
            for value in arguments:
                if type(value) not in PLAIN:
                    are_plain, are_printed = False, "%(" not in message and _PRINTED.issuperset(map(type, arguments))
                    break
        else:
            are_plain, are_printed = False, "%(" not in message and type(arguments) in PRINTED_WHOLE
        if are_printed:
            # One of another class may make its text in its own way.
            text = message % arguments if arguments and type(record) is LogRecord else record.getMessage()
            # Plain values are masked in the text when it is written. Dicts and lists show all that they hold, with its
            # names, unless a message takes single values out of a dict. So one look at the text that is needed anyway
            # tells whether there is a reason to look into them.
            if are_plain or not may_hold_secret(text):
                return text
    shown = std_arguments(arguments)
    if shown is arguments and isinstance(message, str):
        return record.getMessage()
    if not isinstance(message, str):
        message = str(Shown(message))
    return message % shown if shown else message


_PRINTED = PLAIN | PRINTED_WHOLE


def std_arguments(arguments: Any) -> Any:
    """The arguments of a record of the standard library, for `%`; the very same where they have no structure."""
    if type(arguments) is tuple:
        if PLAIN.issuperset(map(type, arguments)):
            return arguments
        return tuple(_masked_or_same(value) for value in arguments)
    if isinstance(arguments, Mapping):
        if _masked_or_same(arguments) is arguments:
            return arguments
        return {name: _masked_or_same(value, str(name)) for name, value in arguments.items()}
    return arguments


def _masked_or_same(value: Any, name: str = "") -> Any:
    try:
        return masked_argument(value, name)
    except RecursionError:
        return value


def text_without_braces(message: str, args: tuple[Any, ...]) -> str | None:
    """The text of a message that has fewer braces than arguments; None where all are taken all the same.

    One with `%` has it as the standard library's logging does; else those that are left over stand behind it.
    """
    fields = [
        name.partition(".")[0].partition("[")[0] for _, name, _, _ in Formatter().parse(message) if name is not None
    ]
    taken = {int(name) for name in fields if name.isdecimal()} | set(range(fields.count("")))
    if not fields and "%" in message:
        values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and "%(" in message else args
        with suppress(TypeError, ValueError, KeyError):
            return str(message % std_arguments(values))
    left = [value for place, value in enumerate(args) if place not in taken]
    if not left:
        return None
    text = message.format(*map(shown, args)) if taken else message
    return (
        f"{text}{''.join(f', {shown(value)!r}' for value in left)} (nothing in the message takes the last {len(left)})"
    )

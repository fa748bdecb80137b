"""What is wrong with a value, said in two ways: with something of the value, and for one that is never shown."""

from __future__ import annotations

from opa._util.printable import in_one_line


class QuotingError(ValueError):
    """The message has something of a value in it; `general` has nothing of it.

    `setting` is the name of the one that has the value, where that is another one than the wrong one.
    """

    def __init__(self, message: str, *, general: str, setting: str | None = None) -> None:
        super().__init__(quotable(message))
        self.general = general
        self.setting = setting


def quotable(message: str) -> str:
    """The same as Pydantic can hand it on: bytes of a variable that are no UTF-8 are halves of characters in it."""
    return in_one_line(message)

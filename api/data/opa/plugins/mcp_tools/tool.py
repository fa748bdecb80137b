"""What a tool is, and what a call of it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from opa.plugins.mcp_tools.caller import Caller

RESULT_TOOL = "task_result"
"""The name of the tool that says what became of a task."""
Schema = dict[str, Any]
Arguments = Mapping[str, Any]


class ToolError(Exception):
    """A call has failed; the text says why, for the assistant, and may be shown."""


@dataclass(frozen=True)
class Binary:
    """An answer that is not a text.

    Attributes:
        media_type: such as `image/png`.
        data: the bytes.
    """

    media_type: str
    data: bytes


@dataclass(frozen=True)
class Answer:
    """What a call gives.

    Attributes:
        content: a text, or what is none.
        structured: the same as an object of JSON, if it is one.
    """

    content: str | Binary
    structured: dict[str, Any] | None = None


@dataclass(frozen=True)
class Description:
    """What an assistant is told of a tool.

    Attributes:
        name: by which it is called.
        text: what it does, and when it is of use.
        arguments: their JSON schema, an object.
        made_of: what it is in the project, in two words or three: `GET /orders`.
        reads_only: whether a call changes nothing.
        destroys: whether a call may delete or overwrite something.
        may_be_repeated: whether a second call with the same arguments changes nothing more.
    """

    name: str
    text: str
    arguments: Schema = field(repr=False)
    made_of: str
    reads_only: bool = False
    destroys: bool = False
    may_be_repeated: bool = False


class Tool(Protocol):
    """A route, or a task, or what says of a task what became of it."""

    @property
    def description(self) -> Description:
        """What an assistant is told."""

    async def call(self, arguments: Arguments, caller: Caller) -> Answer:
        """Call it.

        Raises:
            ToolError: that has failed.
        """


class UnfitError(Exception):
    """A route or task cannot be a tool; the text says why."""

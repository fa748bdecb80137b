"""The plugin: a hook that gives back its argument."""

from typing import Any

from opa import Hook, HookDefinition


class Answer(HookDefinition):
    """Takes one argument."""

    name = "answer"


class Fill(Hook):
    """The only one."""

    name = "answer"

    def run(self, arg: Any) -> Any:
        """What pluggy's implementation does too."""
        return arg

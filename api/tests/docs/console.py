"""What a `console` block says: commands behind `$`, and below each what it prints.

`...` stands for any text, and one or more spaces for any white space, since how a table is laid out is not what a page
is about. An ObjectId, a UUID or an API key in what is printed stands for the one that is really printed there, and from
then on for that one in all that follows on the page.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.docs.blocks import Block

COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n?(?P<output>(?:(?!\$ ).*\n?)*)", re.MULTILINE)
ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.DOTALL)
SUBSTITUTION = re.compile(r"(?P<name>[A-Za-z_]\w*)=\$\((?P<command>.*)\)", re.DOTALL)
VARIABLE = re.compile(r"\$(?P<name>[A-Za-z_]\w*)")
OBJECT_ID = "[0-9a-f]{24}"
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
API_KEY = "opa_[0-9A-Za-z]{61}"
SPECIAL = re.compile(rf"(?P<any>\.\.\.)|\b(?P<id>{OBJECT_ID}|{UUID}|{API_KEY})\b|(?P<space> +)")


@dataclass(frozen=True)
class Command:
    """A command of a page, what it should print (empty: anything), and where it stands."""

    text: str
    expected: str
    where: str


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    for match in COMMAND.finditer(block.text):
        yield Command(match["command"].replace("\\\n", " "), match["output"].strip(), block.where)


@dataclass
class Shell:
    """What a reader's shell, and the reader, remember from one command to the next."""

    variables: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def words(self, command: Command) -> tuple[dict[str, str], list[str]]:
        """The variables that are set for a command alone, and its words; no words where it only sets variables."""
        if match := SUBSTITUTION.fullmatch(command.text):
            self.variables[match["name"]] = self._printed_by_shell(match["command"])
            return {}, []
        words = [self._filled_in(word) for word in shlex.split(command.text, comments=True)]
        environ: dict[str, str] = {}
        while words and (match := ASSIGNMENT.fullmatch(words[0])):
            environ[match["name"]] = match["value"]
            del words[0]
        if not words:
            self.variables |= environ
        return environ, words

    def _printed_by_shell(self, command: str) -> str:
        """What `$(…)` stands for, with the variables of before."""
        environ = {"PATH": os.environ["PATH"]} | self.variables
        done = subprocess.run(
            ["sh", "-euc", command], env=environ, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.rstrip("\n")

    def _filled_in(self, word: str) -> str:
        word = VARIABLE.sub(lambda match: self.variables.get(match["name"], match[0]), word)
        return SPECIAL.sub(lambda match: self.ids.get(match[0], match[0]), word)

    def is_expected(self, command: Command, printed: str) -> bool:
        """Whether a command printed what the page says."""
        if not command.expected:
            return True
        new_ids: list[str] = []

        def pattern(match: re.Match[str]) -> str:
            if match["any"]:
                return ".*?"
            if match["space"]:
                return r"\s+"
            if match[0] in self.ids:
                return self.ids[match[0]]
            if match[0] in new_ids:
                return f"(?P={group(match[0])})"
            new_ids.append(match[0])
            kind = next(kind for kind in (OBJECT_ID, UUID, API_KEY) if re.fullmatch(kind, match[0]))
            return f"(?P<{group(match[0])}>{kind})"

        found = re.fullmatch(replace(SPECIAL, pattern, command.expected), printed.strip(), re.DOTALL)
        if found:
            self.ids |= {written: found[group(written)] for written in new_ids}
        return found is not None


def group(written: str) -> str:
    """The name of the group that finds what an id of the page stands for."""
    return f"id_{written.replace('-', '_')}"


def replace(special: re.Pattern[str], by: Callable[[re.Match[str]], str], text: str) -> str:
    """`text` as a regular expression: what is special replaced, and the rest as it is."""
    parts, end = [], 0
    for match in special.finditer(text):
        parts += [re.escape(text[end : match.start()]), by(match)]
        end = match.end()
    return "".join([*parts, re.escape(text[end:])])

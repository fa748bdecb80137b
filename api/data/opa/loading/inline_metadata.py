"""The block of inline metadata in a Python file (PEP 723), read without importing the file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from opa._util.nesting import TOO_DEEP, NestingError, check_nesting
from opa._util.patterns import lazy_pattern
from opa._util.reading import MAX_FILE_BYTES, without_waiting
from opa.errors import MetadataError
from opa.loading import conventions

START = f"# {conventions.INLINE_METADATA.name}"
END = "# ///"
_MARK = START.encode()
HINT = 'An example: # /// script, # dependencies = ["humanize>=4"], # ///, each in a line of its own'
_PLACE = lazy_pattern(r"(?P<problem>.*) \(at line (?P<line>\d+), column \d+\)", re.DOTALL)


class InlineMetadata(NamedTuple):
    """The block; empty where there is none.

    Attributes:
        values: its keys.
        where: `file:line` of its first line.
    """

    values: Mapping[str, Any] = {}
    where: str = ""


def has_inline_metadata(file: Path) -> bool:
    """Whether `file` may have a block; most have none, and this is quick."""
    return _MARK in _content(file)


def _content(file: Path) -> bytes:
    # Not by `open`, which takes twice the time: each plugin's file is looked at.
    try:
        opened = without_waiting(str(file), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        # Not as many as there may be: memory is had for what is asked for.
        return os.read(opened, min(os.fstat(opened).st_size, MAX_FILE_BYTES))
    except OSError:
        return b""
    finally:
        os.close(opened)


def read_inline_metadata(file: Path) -> InlineMetadata:
    """The block of `file`; empty where that has none, or cannot be read, which its import says.

    Raises:
        MetadataError: the block does not parse, has no end, or is not the only one.
    """
    content = _content(file)
    if _MARK not in content:
        return InlineMetadata()
    lines = [line.removesuffix("\r") for line in content.decode("utf-8-sig", errors="replace").split("\n")]
    starts = [number for number, line in enumerate(lines) if line.rstrip() == START]
    if not starts:
        return InlineMetadata()
    if lines[starts[0]] != START:
        raise _wrong("has white space behind it, and is none for other tools", f"{file}:{starts[0] + 1}", "Remove it")
    if len(starts) > 1:
        raise _wrong("is there a second time", f"{file}:{starts[1] + 1}", "Remove one of them")
    return InlineMetadata(_parsed(_block(lines, starts[0], file), file, starts[0]), f"{file}:{starts[0] + 1}")


def _block(lines: list[str], start: int, file: Path) -> list[str]:
    """The lines of TOML. The last line that ends a block does, as in the text of PEP 723."""
    end, number = None, start + 1
    while number < len(lines) and (lines[number] == "#" or lines[number].startswith("# ")):
        end = number if lines[number] == END else end
        number += 1
    if end is None:
        what = f"has no end: line {number + 1} comes before a line '{END}'"
        raise _wrong(what, f"{file}:{start + 1}", f"Let each line begin with '# ', and end it with a line '{END}'")
    return [line[2:] for line in lines[start + 1 : end]]


def _parsed(block: list[str], file: Path, start: int) -> Mapping[str, Any]:
    try:
        values = tomllib.loads("\n".join(block))
        check_nesting(values)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.fullmatch(str(error))
        line = start + 1 + (int(place["line"]) if place else len(block))
        raise _wrong(f"is not valid TOML: {place['problem'] if place else error}", f"{file}:{line}", HINT) from None
    except (NestingError, RecursionError) as error:
        problem = str(error) if isinstance(error, NestingError) else TOO_DEEP
        raise _wrong(f"cannot be used: {problem}", f"{file}:{start + 1}", HINT) from None
    except ValueError:  # Python's limit for the digits of a whole number
        raise _wrong("has a number of too many digits", f"{file}:{start + 1}", HINT) from None
    return values


def _wrong(problem: str, where: str, hint: str) -> MetadataError:
    return MetadataError(f"the block '{START}' {problem}", where=where, hint=hint)

"""The environment variables that are settings: `OPA_NAME` is a value, and `OPA_NAME__FILE` names a file with one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from opa.settings.schema import is_mapping_setting, path_of
from opa.settings.sources import PREFIX, setting_variables
from opa.settings.value_files import SUFFIX, ValueFileError, read_value, source_of_file


@dataclass(frozen=True)
class Variable:
    """A setting in the environment.

    Attributes:
        name: of the setting, without the prefix; nested ones as `A__B`.
        text: its value, as it is written.
        source: where it stands, for people.
        is_literal: whether the text is the value, also where it looks like a number or a mark.
    """

    name: str
    text: str
    source: str
    is_literal: bool = False


@dataclass(frozen=True)
class Variables:
    """Those that there are, in the order in which they apply, and a line for each that cannot be used."""

    found: tuple[Variable, ...]
    mistakes: tuple[str, ...]

    def texts(self) -> dict[tuple[str, ...], str]:
        """What stands in those that are settings of plugins, by path: their models say what is a text.

        One that says by a mark of dynaconf what it is (`@int 1`) is not among them.
        """
        texts = {path_of(each.name.upper()): each.text for each in self.found if _is_text(each)}
        return {path: text for path, text in texts.items() if path[0] == "PLUGIN_SETTINGS"}


def read_variables() -> Variables:
    """Read the environment, and the files that it names; `A__B` comes after `A`."""
    given = [Variable(name, text, f"environment variable {PREFIX}{name}") for name, text in setting_variables()]
    with_file = [each for each in given if _names_a_file(each.name)]
    if not with_file:
        return Variables(tuple(given), ())
    # As with the images of databases, an empty variable gives way to the file.
    by_name = {each.name.upper(): each for each in given if each.text}
    values: list[Variable] = []
    mistakes: list[str] = []
    for each in with_file:
        name = each.name[: -len(SUFFIX)]
        shown, variable = ".".join(path_of(name)), f"{PREFIX}{each.name}"
        if other := by_name.get(name.upper()):
            both = f"{PREFIX}{other.name} and {variable} ({each.text})"
            mistakes.append(f"{shown}: is set twice, by the environment variables {both}; unset one of them")
            continue
        try:
            text = read_value(each.text)
        except ValueFileError as error:
            mistakes.append(f"{shown}: {error} (environment variable {variable})")
        else:
            values.append(
                replace(each, name=name, text=text, source=source_of_file(each.text, variable), is_literal=True)
            )
    replaced = {each.name.upper() for each in values}
    rest = [each for each in given if each not in with_file and each.name.upper() not in replaced]
    return Variables(tuple(sorted([*rest, *values], key=lambda each: each.name)), tuple(mistakes))


def _names_a_file(name: str) -> bool:
    """Whether it ends in `__FILE`, which behind the name of a mapping is a key of that."""
    return name.upper().endswith(SUFFIX) and len(name) > len(SUFFIX) and not is_mapping_setting(name[: -len(SUFFIX)])


def _is_text(variable: Variable) -> bool:
    return variable.is_literal or not variable.text.startswith("@")

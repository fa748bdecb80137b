"""Settings of a plugin's own: a Pydantic model, with values from `PLUGIN_SETTINGS.<plugin>`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic_core import ErrorDetails

from opa._util.masking.models import mask_by_type
from opa._util.masking.secrets import MASK
from opa._util.sources import where_is
from opa._util.suggestions import nearest
from opa.core.plugin_names import plugins_alike, plugins_meant
from opa.core.plugin_values import Path, PluginValues, plugin_values
from opa.core.running import current_plugin_settings
from opa.errors import RegistrationError, SettingsError
from opa.settings.value_files import is_from_file

if TYPE_CHECKING:
    from opa.settings.config import Config

SETTING = "PLUGIN_SETTINGS"
BY_VARIABLE = "environment variable "
_WITHOUT_VALUE = frozenset(
    {
        *("bool_parsing", "bool_type", "dict_type", "enum", "extra_forbidden", "finite_number", "float_parsing"),
        *("float_type", "greater_than", "greater_than_equal", "int_from_float", "int_parsing", "int_type"),
        *("less_than", "less_than_equal", "list_type", "literal_error", "missing", "model_type", "multiple_of"),
        *("string_pattern_mismatch", "string_too_long", "string_too_short", "string_type"),
    }
)
"""The kinds of errors of which Pydantic's message has nothing of the value in it."""
_A_MAPPING = "should be a mapping, which cannot be read from a file as a whole; set its keys"
_NOT_TOLD = "is not valid; why is not shown, since that may repeat what the file has"


class PluginSettings(BaseModel):
    """Base of a plugin's settings. Subclass it in the plugin; a key that the model does not have is a mistake.

    The values come from `PLUGIN_SETTINGS.<plugin>`, through every layer of the configuration; names of fields, or their
    aliases, are matched without regard to case. Take `SecretStr` for what must not be shown.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def current(cls) -> Self:
        """The settings in this process; also while the plugin is imported.

        Raises:
            NotRunningError: no application was prepared in this process.
            SettingsError: they are wrong; `mistakes` has a line for each.
        """
        settings: Self = current_plugin_settings().of(cls)
        return settings

    @classmethod
    def depends(cls) -> Any:
        """A dependency that gives the settings in a route: `settings: Annotated[Mine, Mine.depends()]`."""

        async def current() -> Self:
            return cls.current()  # type: ignore[return-value]  # mypy takes the closure's Self for another

        return Depends(current)


Model = TypeVar("Model", bound=PluginSettings)


class PluginSettingsStore:
    """The settings of all plugins of one application, each made when it is first asked for.

    Args:
        config: has the values.
        plugins: the name of the plugin of each module.
        expected: the names of plugins that are not there, and that may have settings all the same.
    """

    def __init__(self, config: Config, plugins: Mapping[str, str], expected: Collection[str] = ()) -> None:
        self.expected = expected
        self._config = config
        self._plugins = plugins
        self._made: dict[type[PluginSettings], PluginSettings] = {}

    def of(self, model: type[Model]) -> Model:
        """The settings that `model` describes.

        Raises:
            SettingsError: they are wrong; `mistakes` has a line for each.
            RegistrationError: the model cannot be used.
        """
        made = self._made.get(model)
        if made is None:
            made = self._made[model] = self._validated(model)
        return made  # type: ignore[return-value]  # what was made from a model is of its type

    def plugin_of(self, model: type[PluginSettings]) -> str:
        """The name of the plugin that declares `model`."""
        module = model.__module__
        while module and module not in self._plugins:
            module = module.rpartition(".")[0]
        return self._plugins.get(module, model.__module__)

    def key_of(self, plugin: str) -> str:
        """The key of the plugin in `PLUGIN_SETTINGS`; its name where there is none."""
        keys = plugins_meant(plugin, self._keys())
        names = self._names() | {plugin}
        return next((key for key in keys if plugin in plugins_meant(key, names)), plugin)

    def unknown(self) -> list[str]:
        """A line for each key of `PLUGIN_SETTINGS` that is the name of no plugin, or of which it cannot be told."""
        return [f"{SETTING}.{key}: {problem}" for key in self._keys() for problem in self._problems_of(key)]

    def _keys(self) -> list[str]:
        return [str(key) for key in self._config.PLUGIN_SETTINGS]

    def _problems_of(self, key: str) -> Iterator[str]:
        names = self._names()
        meant = plugins_meant(key, names)
        others = [other for other in self._keys() if other != key and plugins_meant(other, names) == meant]
        if not meant:
            yield f"there is no plugin of this name ({self._config.source(f'{SETTING}.{key}')})"
        elif others and key.lower() != meant[0].lower():
            source = self._config.source(f"{SETTING}.{key}")
            yield f"is there as '{others[0]}' too, which is the same plugin ({source})"
        else:
            yield from self._mixed_up(key, meant[0])

    def _mixed_up(self, key: str, plugin: str) -> Iterator[str]:
        """Why it cannot be told whether `key` means this plugin or another one, whose names are alike."""
        alike = plugins_alike(key, self._names())
        if plugin not in alike or len(alike) == 1:
            return
        sources = dict.fromkeys(leaf.source for leaf in self._config.leaves(f"{SETTING}.{key}"))
        variables = [source for source in sources if BY_VARIABLE in source]
        if variables or len(plugins_meant(key, alike)) > 1:
            told = " and ".join(f"'{name}'" for name in alike)
            yield (
                f"may be meant for the plugins {told}; rename one of them, or write the name in a file"
                f" ({', '.join(variables or sources)})"
            )

    def _names(self) -> set[str]:
        return {*self._plugins.values(), *self.expected}

    def _validated(self, model: type[Model]) -> Model:
        plugin = self.plugin_of(model)
        if missing := _missing_type(model):
            raise RegistrationError(
                f"the settings of plugin '{plugin}' have the type {missing}, which is not there when the program runs",
                plugin=plugin,
                where=where_is(model),
                hint="Import the type at the top of the file, and not below 'if TYPE_CHECKING'; or fix its name",
            )
        given = self._values(model, plugin)
        try:
            return given.validated(model)  # type: ignore[return-value]  # what was made from a model is of its type
        except ValidationError as error:
            mistakes = tuple(self._mistakes(model, plugin, given, error.errors(include_url=False)))
            raise SettingsError("; ".join(mistakes), mistakes=mistakes) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it chains nothing, since that may show a secret
            # A validator of the plugin's, or the model itself: that is no mistake in the settings.
            problem = _without(sorted(_hidden(given.values, MASK), key=len, reverse=True), str(error))
            raise RegistrationError(
                f"the settings of plugin '{plugin}' cannot be made: {type(error).__name__}: {problem}",
                plugin=plugin,
                where=where_is(model),
                hint="Fix the model; a validator raises ValueError for a value that is wrong",
            ) from None

    def _values(self, model: type[PluginSettings], plugin: str) -> PluginValues:
        if ambiguous := [
            f"{SETTING}.{key}: {problem}" for key in self._keys() for problem in self._mixed_up(key, plugin)
        ]:
            raise SettingsError("; ".join(ambiguous), mistakes=tuple(ambiguous))
        values = self._config.PLUGIN_SETTINGS.get(self.key_of(plugin), {})
        if not isinstance(values, Mapping):
            line = f"{SETTING}.{plugin}: should be a mapping"
            raise SettingsError(line, mistakes=(line,))
        return plugin_values(
            model, values, lambda path: self._config.variable_text((SETTING, plugin, *path)) if path else None
        )

    def _mistakes(
        self, model: type[PluginSettings], plugin: str, written: PluginValues, errors: list[ErrorDetails]
    ) -> Iterator[str]:
        values = written.values
        shown = mask_by_type(model, values, f"{SETTING}.{plugin}")
        shown = self._without_files(plugin, written, values, shown)
        hidden = sorted(_hidden(values, shown), key=len, reverse=True)
        for detail in errors:
            path = ".".join(str(part) for part in (SETTING, plugin, *detail["loc"]))
            problem = _unknown(model, detail["loc"]) if detail["type"] == "extra_forbidden" else detail["msg"]
            if detail["type"] == "string_type" and isinstance(detail["input"], int | float | date):
                problem += ", in quotes"
            is_shown = detail["type"] not in ("missing", "extra_forbidden")
            if any(map(is_from_file, self._sources_at(plugin, detail["loc"], written))):
                is_shown = False
                problem = problem if detail["type"] in _WITHOUT_VALUE else _NOT_TOLD
                problem = _A_MAPPING if detail["type"] in ("dict_type", "model_type") else problem
            given = f", not {_given(detail, values, shown)!r}" if is_shown else ""
            yield _without(hidden, f"{path}: {problem}{given}") + f" ({self._source(plugin, detail, written)})"

    def _without_files(self, plugin: str, written: PluginValues, values: Any, shown: Any, path: Path = ()) -> Any:
        """`shown` with a mask for each of the `values` that a value file has."""
        if path in written.origins and all(map(is_from_file, self._sources_at(plugin, path, written))):
            return MASK
        if isinstance(values, Mapping) and isinstance(shown, Mapping):
            return {
                key: self._without_files(plugin, written, item, shown.get(key, MASK), (*path, key))
                for key, item in values.items()
            }
        return shown

    def _sources_at(self, plugin: str, place: Path, written: PluginValues) -> list[str]:
        """The sources of all that is at this place, or else of what is around it."""
        length = next((size for size in range(len(place), 0, -1) if place[:size] in written.origins), 0)
        name = ".".join(map(str, (SETTING, self.key_of(plugin), *written.origins.get(place[:length], ()))))
        return [leaf.source for leaf in self._config.leaves(name)] if name in self._config else [""]

    def _source(self, plugin: str, detail: ErrorDetails, written: PluginValues) -> str:
        if detail["type"] == "missing":
            return f"model of plugin '{plugin}'"
        key = self.key_of(plugin)
        try:
            place = written.origins.get(detail["loc"][:1], detail["loc"][:1])
            return self._config.source(".".join(str(part) for part in (SETTING, key, *place)))
        except KeyError:
            return f"setting {SETTING}.{key}"


def _unknown(model: type[PluginSettings], loc: tuple[int | str, ...]) -> str:
    """What is told of a key that the model does not have; of one in a nested model not which is meant."""
    meant = nearest(str(loc[0]), model.model_fields) if len(loc) == 1 else None
    return "is not a setting of this plugin" + (f"; did you mean {meant}?" if meant else "")


def _given(detail: ErrorDetails, values: Any, shown: Any) -> Any:
    """What was given, as far as it may be shown: `***` for what a validator has made of it, which cannot be told."""
    for part in detail["loc"]:
        # Some parts of a location, such as the member of a union that was tried, are no keys.
        inside = isinstance(values, Mapping) and part in values
        if inside or (isinstance(values, list) and isinstance(part, int) and part < len(values)):
            if not isinstance(shown, Mapping | list):
                return MASK
            values, shown = values[part], shown[part]  # type: ignore[index]  # a list has its number, a mapping its key
    given = detail["input"]
    return shown if values is given or values == given else MASK


def _hidden(values: Any, shown: Any) -> Iterator[str]:
    """Every text and number that is in `values` and masked in `shown`: a validator's message may repeat it."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _hidden(value, shown.get(key, MASK) if isinstance(shown, Mapping) else MASK)
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from _hidden(value, shown[number] if isinstance(shown, list) else MASK)
    elif values not in (None, "", b"") and not isinstance(values, bool) and shown != values:
        yield str(values)


def _missing_type(model: type[BaseModel]) -> str:
    """A type in the annotations of a model that is not there; empty where all are."""
    if not model.__pydantic_complete__:
        try:
            model.model_rebuild()
        except PydanticUndefinedAnnotation as error:
            return error.name or "that cannot be told"
    return ""


def _without(hidden: list[str], text: str) -> str:
    """`text` without the values that are secret, however their letters are written."""
    for value in hidden:
        if value.casefold() in text.casefold():
            text = re.sub(
                rf"(?<!\w){re.escape(value)}(?!\w)" if len(value) < 4 else re.escape(value), MASK, text, flags=re.I
            )
    return text

"""Settings of a plugin's own: a Pydantic model, with values from `PLUGIN_SETTINGS.<plugin>`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from opa.core.errors import SettingsError
from opa.core.secrets import mask_setting

if TYPE_CHECKING:
    from opa.core.settings_config import Config

SETTING = "PLUGIN_SETTINGS"


class PluginSettings(BaseModel):
    """Base of a plugin's settings. Subclass it in the plugin; a key that the model does not have is a mistake.

    The values come from `PLUGIN_SETTINGS.<plugin>`, through every layer of the configuration; names of fields are
    matched without regard to case. Take `SecretStr` for what must not be shown.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def current(cls) -> Self:
        """The settings in this process; also while the plugin is imported.

        Raises:
            NotRunningError: no application was prepared in this process.
            SettingsError: they are wrong; `mistakes` has a line for each.
        """
        from opa.core.running import current_plugin_settings

        return current_plugin_settings().of(cls)

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
    """

    def __init__(self, config: Config, plugins: Mapping[str, str]) -> None:
        self._config = config
        self._plugins = plugins
        self._made: dict[type[PluginSettings], PluginSettings] = {}

    def of(self, model: type[Model]) -> Model:
        """The settings that `model` describes.

        Raises:
            SettingsError: they are wrong; `mistakes` has a line for each.
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

    def unknown(self) -> list[str]:
        """A line for each key of `PLUGIN_SETTINGS` that is the name of no plugin."""
        names = {name.lower() for name in self._plugins.values()}
        return [
            f"{SETTING}.{key}: there is no plugin of this name ({self._config.source(f'{SETTING}.{key}')})"
            for key in self._config.PLUGIN_SETTINGS
            if str(key).lower() not in names
        ]

    def _validated(self, model: type[Model]) -> Model:
        plugin = self.plugin_of(model)
        try:
            return model.model_validate(self._values(model, plugin))
        except ValidationError as error:
            mistakes = tuple(self._mistakes(model, plugin, error.errors(include_url=False)))
            raise SettingsError("; ".join(mistakes), mistakes=mistakes) from None

    def _values(self, model: type[PluginSettings], plugin: str) -> dict[str, Any]:
        fields = {name.lower(): name for name in model.model_fields}
        values = _look_up(self._config.PLUGIN_SETTINGS, plugin)
        if not isinstance(values, Mapping):
            line = f"{SETTING}.{plugin}: should be a mapping"
            raise SettingsError(line, mistakes=(line,))
        return {fields.get(str(key).lower(), str(key)): value for key, value in values.items()}

    def _mistakes(self, model: type[PluginSettings], plugin: str, errors: list[ErrorDetails]) -> Iterator[str]:
        secrets = secret_fields(model)
        for detail in errors:
            path = ".".join(str(part) for part in (SETTING, plugin, *detail["loc"]))
            problem = "is no setting of this plugin" if detail["type"] == "extra_forbidden" else detail["msg"]
            is_shown = detail["type"] not in ("missing", "extra_forbidden") and detail["loc"][:1] not in secrets
            given = f", not {mask_setting(path, detail['input'])!r}" if is_shown else ""
            yield f"{path}: {problem}{given} ({self._source(plugin, detail)})"

    def _source(self, plugin: str, detail: ErrorDetails) -> str:
        if detail["type"] == "missing":
            return f"model of plugin '{plugin}'"
        key = next((key for key in self._config.PLUGIN_SETTINGS if str(key).lower() == plugin.lower()), plugin)
        try:
            return self._config.source(".".join(str(part) for part in (SETTING, key, *detail["loc"][:1])))
        except KeyError:
            return f"setting {SETTING}.{key}"


def secret_fields(model: type[BaseModel]) -> set[tuple[str]]:
    """The names of the fields that hold a `SecretStr` or `SecretBytes`, wherever inside; as the start of a path."""
    return {
        (name,)
        for name, field in model.model_fields.items()
        if any(word in repr(field.annotation) for word in ("SecretStr", "SecretBytes"))
    }


def _look_up(values: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in values.items() if str(key).lower() == name.lower()), {})

"""The effective settings and where each comes from, with every secret masked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opa._util.masking.models import mask_by_type
from opa._util.masking.secrets import MASK, mask_key, mask_setting, mask_setting_name
from opa.core.plugin_settings import SETTING
from opa.settings.config import Config, Leaf
from opa.settings.value_files import is_from_file

if TYPE_CHECKING:
    from opa.core.manager import PluginManager


def settings_of(manager: PluginManager) -> Iterator[Leaf]:
    """Each setting that is no dict: dotted name, value, and source; all of them may be shown."""
    return masked(manager.config.leaves(), lambda: plugin_settings_of(manager))


def masked(leaves: Iterable[Leaf], plugin_settings: Callable[[], Mapping[str, Any]]) -> Iterator[Leaf]:
    """The same, with every secret masked, and every value that `__FILE` has read.

    Args:
        leaves: settings.
        plugin_settings: gives the settings of the plugins' own as `plugin_settings_of` does; which of them are secret,
            only their models say. Asked if there is one among the leaves.
    """
    of_plugins: Config | None = None
    for leaf in leaves:
        if is_from_file(leaf.source):
            value = MASK if leaf.value else leaf.value
        elif leaf.name.startswith(f"{SETTING}."):
            of_plugins = Config({SETTING: plugin_settings()}) if of_plugins is None else of_plugins
            value = of_plugins.get(leaf.name, MASK)
        else:
            value = mask_setting(leaf.name, leaf.value)
        yield Leaf(mask_key(mask_setting_name(leaf.name)), value, mask_setting_name(leaf.source))


def plugin_settings_of(manager: PluginManager) -> dict[str, Any]:
    """The settings of each plugin as its model lets them be shown, by the name under which they stand."""
    key_of = manager.plugin_settings.key_of
    models = {key_of(found.plugin.name): found.settings for found in manager.registry.objects if found.settings}
    return {
        name: mask_by_type(models[name], values, f"{SETTING}.{name}")
        for name, values in manager.config.as_dict()[SETTING].items()
        if name in models
    }

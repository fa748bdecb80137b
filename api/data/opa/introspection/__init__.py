"""What an application has loaded: its plugins, routes, components and settings, in a form that may be shown.

For plugins that show it; `opa plugins`, `opa config` and the console do so. Import it where it is used: it costs time
that a start need not spend.
"""

from opa.introspection.components import ComponentInfo, components_of
from opa.introspection.plugins import PluginInfo, plugins_of
from opa.introspection.routes import RouteInfo, routes_of
from opa.introspection.settings import settings_of

__all__ = [
    "ComponentInfo",
    "PluginInfo",
    "RouteInfo",
    "components_of",
    "plugins_of",
    "routes_of",
    "settings_of",
]

"""The URL of a file in the folder `static/` of a plugin."""

from __future__ import annotations

from opa.core.running import running_manager
from opa.errors import OpaError

HOOK = "static.url"


def static_url(plugin: str, path: str) -> str:
    """The URL of a static file, which a browser may keep for good: another content has another URL.

    It is what the hook `static.url` returns. The file is read when it has changed, and looked at each time.

    Args:
        plugin: the name of the plugin.
        path: of the file in its folder `static/`, with slashes: `css/app.css`.

    Returns:
        A path on this server, with the prefix of a proxy (`OPENAPI_PREFIX`): `/static/shop/app.css?v=0123456789abcdef`.

    Raises:
        OpaError: no plugin of that name has such a file, or no plugin fills the hook.
        NotRunningError: no application was prepared in this process, as while plugins are imported.
    """
    make = running_manager().sync_hooks.get(HOOK)
    if make is None:
        raise OpaError(
            f"static_url needs a plugin that fills the hook '{HOOK}', and none is loaded",
            hint="A filter of plugins leaves out static_files: let it through",
        )
    url: str = make(plugin, path)
    return url

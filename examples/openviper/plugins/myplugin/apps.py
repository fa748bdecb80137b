"""A step may stand in the package or here; of `ready`, that in the package counts."""

from __future__ import annotations

import myplugin


async def shutdown() -> None:
    """Let the service go, when this process stops."""
    if myplugin._client is not None:
        await myplugin._client.close()

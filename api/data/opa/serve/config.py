"""uvicorn's options, as far as its protocols need them."""

from __future__ import annotations

import uvicorn

from opa.serve.connections import Connections


class SharingConfig(uvicorn.Config):
    """uvicorn's options, and what the connections of the process share.

    Attributes:
        connections: those of the process.
    """

    connections: Connections

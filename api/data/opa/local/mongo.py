"""SecantusDB as a process of its own, with one user: `python -m opa.local.mongo HOST PORT FOLDER`.

Its own command cannot do that: it makes users only while everyone may connect, and so another user of the machine
could be quicker. No other module imports SecantusDB (its licence is GPL-2.0).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from secantus import SecantusDBServer

PASSWORD_VARIABLE = "OPA_UP_MONGO_PASSWORD"  # noqa: S105
USER = "opa"
DATABASE = "admin"


def main() -> None:
    """Serve until SIGTERM or SIGINT. Where `PASSWORD_VARIABLE` has a password, ask for it."""
    # Taken by sigwait below: stop() waits for threads, and in a handler it could wait for the one it has interrupted.
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    host, port, folder = sys.argv[1:]
    password = os.environ.pop(PASSWORD_VARIABLE, "")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from secantus import SecantusDBServer

    server = SecantusDBServer(
        host,
        int(port),
        folder,
        # No replica set, as the mongo of docker-compose.yml.
        replica_set_name=None,
        require_auth=bool(password),
        enable_test_commands=False,
    )
    if password:
        _set_user(server, password)
    server.start()
    signal.sigwait(stop_signals)
    server.stop()


def _set_user(server: SecantusDBServer, password: str) -> None:
    """Make the user, or give the one of the last start the new password, before anyone can connect."""
    from secantus.auth import SCRAM_SHA_256, derive_credentials

    record = {
        "_id": f"{DATABASE}.{USER}",
        "user": USER,
        "db": DATABASE,
        "credentials": derive_credentials(password).to_doc(),
        "roles": [{"role": "root", "db": DATABASE}],
        "mechanisms": [SCRAM_SHA_256],
    }
    server.storage.add_user(DATABASE, USER, record, replace=True)


if __name__ == "__main__":
    main()

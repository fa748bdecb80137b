"""The course of `opa up`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from opa._util.sources import from_here
from opa._util.tables import print_table
from opa.errors import StartError
from opa.loading.plugin_paths import refuse_foreign
from opa.local.environment import (
    PLUGINS,
    SQLITE,
    SQLITE_FILE,
    Target,
    component_settings,
    names_of_components,
    open_targets,
    plugin_paths,
    plugin_settings,
)
from opa.local.running import Running, current_network, published, refuse_second
from opa.local.servers import LocalServer, free_port, new_password, remedy_for_mongo, secantusdb, valkey
from opa.local.supervisor import Program, Supervisor
from opa.process.folder import locked_folder, refuse_deleted
from opa.process.listen import address_of, listening_socket
from opa.process.told import forget_told
from opa.serve.server import stop_limit
from opa.settings.components import task_components
from opa.settings.envs import ENV_VARIABLE, is_development
from opa.settings.inherited import PROCESS_VARIABLE, handing_variable
from opa.settings.load import Config
from opa.settings.sources import PREFIX

# Other than ENV=dev says. Anyone who reaches a debugger can run code, on loopback every user of the machine:
# it listens only if asked to. The files and variables of the user win.
OWN_DEFAULTS = {"DEBUGPY": False}
# Behind what the process itself allows its requests and components.
STOP_MARGIN = 5.0


def run(config: Config, while_exists: Path | None = None) -> None:
    """Start the servers, the api, a worker and a beat in the current folder, and stop them when a signal comes.

    Args:
        config: the settings.
        while_exists: they are stopped too when this file is removed.

    Raises:
        StartError: something cannot be started, or has ended by itself.
        PluginPathError: root would run plugins of another user.
    """
    project = Path.cwd()
    refuse_second(project)
    # Before anything is started; the api opens it again.
    with listening_socket(config.HOST, config.PORT) as listener:
        url, port = address_of(listener), listener.getsockname()[1]
    if config.OPERATING_PORT is not None:
        listening_socket(config.OPERATING_HOST, config.OPERATING_PORT, prefix="OPERATING_").close()
    targets = open_targets(config)
    paths = plugin_paths(config, project)
    if (own := project / PLUGINS) in map(Path, paths):
        _make(own)
        if str(own) not in config.PLUGIN_PATHS:
            refuse_foreign(own)  # now that no other user can make it
    with locked_folder(project) as (folder, lock), Supervisor(while_exists) as supervisor:
        forget_told(folder)
        servers = _servers(targets, folder, lock)
        supervisor.start(*(server.program for server in servers.values()))
        authorities = {name: server.authority for name, server in servers.items()} | {SQLITE: str(folder / SQLITE_FILE)}
        running = Running(
            process=os.getpid(),
            env=os.environ.get(ENV_VARIABLE, ""),
            settings=component_settings(targets, authorities) | plugin_settings(project) | OWN_DEFAULTS,
            network=current_network(),
            url=url,
        )
        environ = handing_variable(running.source, running.settings)
        if config.PORT == 0:
            # The free one that was found; another one stays the user's to change while this runs.
            environ |= {f"{PREFIX}PORT": str(port)}
        # Taken back before anything is stopped.
        with published(running, folder):
            print_table(["what", "where", ""], _summary(config, url, targets, servers, paths, folder=folder))
            print(
                "opa shell, opa tasks and other commands in this folder use these servers. Ctrl-C stops everything.",
                flush=True,
            )
            supervisor.start(_process("api", config, project, environ))
            if runs_tasks(config):
                supervisor.start(*(_process(mode, config, project, environ) for mode in ("worker", "beat")))
            supervisor.watch(lambda: refuse_deleted(folder, lock))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StartError(
            f"the folder for plugins cannot be created: {error.strerror}",
            where=str(folder),
            hint="Create it as a folder, or name another one with OPA_PLUGIN_PATHS",
        ) from None


def _servers(targets: tuple[Target, ...], folder: Path, lock: int) -> dict[str, LocalServer]:
    """The servers that components need, by name; each has a password that is made for this start."""
    wanted = {target.server for target in targets}
    servers: dict[str, LocalServer] = {}
    if "redis" in wanted:
        servers["redis"] = valkey(folder, free_port(), password=new_password(), keep_open=(lock,))
    if "mongo" in wanted:
        mongo = secantusdb(folder, free_port(), password=new_password(), keep_open=(lock,))
        if mongo is None:
            components = names_of_components(targets, "mongo")
            print(f"without {components}: SecantusDB is not installed, {remedy_for_mongo()}")
        else:
            servers["mongo"] = mongo
    return servers


def _process(mode: str, config: Config, project: Path, environ: dict[str, str]) -> Program:
    """A process of opa-stack. That it is ready is not waited for: with RELOAD it may wait for a plugin to be fixed."""
    return Program(
        name=mode,
        command=[sys.executable, "-P", "-m", "opa.cli", "start"],
        folder=project,
        environ=environ | {"MODE": mode, PROCESS_VARIABLE: mode},
        stop_limit=stop_limit(config) + STOP_MARGIN,
    )


def runs_tasks(config: Config) -> bool:
    """Whether there is a component for tasks, so that a worker and a beat have something to do."""
    return any(options["LOAD"] != "no" for options in task_components(config).values())


def _summary(
    config: Config,
    url: str,
    targets: tuple[Target, ...],
    servers: dict[str, LocalServer],
    paths: list[str],
    *,
    folder: Path,
) -> Iterator[tuple[str, str, str]]:
    """What runs, where, and what for."""
    yield "api", url, f"documentation: {url}{config.DOCS_URL}" if config.DOCS_URL else ""
    if config.CONSOLE_URL and is_development():
        yield "console", f"{url}{config.CONSOLE_URL}", "plugins, routes, tasks and their runs, in the browser"
    if config.OPERATING_PORT is not None:
        yield "operating", f"http://{config.OPERATING_HOST}:{config.OPERATING_PORT}", "health and readiness of the api"
    if runs_tasks(config):
        yield "worker, beat", "", "run the tasks of the plugins, and send those that are scheduled"
    for name, server in servers.items():
        data = os.path.relpath(server.data)
        used_by = names_of_components(targets, name)
        yield name, server.address, f"{server.program.name}, for {used_by}; data in {data}"
    if used_by := names_of_components(targets, SQLITE):
        yield SQLITE, os.path.relpath(folder / SQLITE_FILE), f"SQLite, for {used_by}"
    if config.DEBUGPY:
        yield "debugger", f"{config.DEBUGPY_HOST}:{config.DEBUGPY_PORT}", "for attaching to the api"
        if runs_tasks(config):
            yield "debugger", f"{config.DEBUGPY_HOST}:{config.DEBUGPY_PORT + 1}", "for attaching to the worker"
    served = "Python files that you put there are served at once" if config.RELOAD else ""
    yield "plugins", ", ".join(from_here(path) for path in paths), served

"""Find versions that fit what all plugins need and what opa-stack needs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from opa.errors import PackagesError
from opa.loading.own_extras import OWN
from opa.packages.failures import PLUGIN, failed_resolution, refusal_of_own
from opa.packages.lock import head_for
from opa.packages.needs import Need
from opa.packages.own import OwnPackages
from opa.packages.programs import Installer, find_uv, scratch_folder, way_to_uv

_EXCLUDED = re.compile(r"\n# The following packages were excluded from the output:\n(?:#.*\n?)*")
_BY_PLUGIN = re.compile(rf"(?P<before>^ +# .*?){PLUGIN}(?P<number>\d+)", re.MULTILINE)


def resolve(
    needs: Sequence[Need],
    own: OwnPackages,
    *,
    python: str,
    project: Path,
    previous: str = "",
    upgrade: Sequence[str] | bool = False,
) -> str:
    """The text of a lock for `needs`.

    Args:
        needs: what plugins need.
        own: what opa-stack needs; these versions are given, and not in the lock.
        python: the lowest Python that it is for, such as `3.11`.
        project: its folder, whose configuration uv reads.
        previous: the text of a lock, whose versions stay where they fit.
        upgrade: the packages whose versions do not stay, or true for all.

    Raises:
        PackagesError: uv is not there, or there are no versions that fit.
    """
    uv = find_uv()
    if uv is None:
        raise PackagesError("versions are found by uv, which is not installed", hint=way_to_uv())
    refusal = refusal_of_own(needs, own)
    if refusal is not None:
        raise refusal
    head = head_for(needs, python)
    if not needs:
        return head
    with scratch_folder() as folder:
        options = ["--python-version", python, *_upgrades(upgrade)]
        return f"{head}\n{_compiled(uv, needs, own, options, project=project, folder=folder, previous=previous)}"


def _upgrades(upgrade: Sequence[str] | bool) -> list[str]:
    return ["--upgrade"] if upgrade is True else [f"--upgrade-package={name}" for name in upgrade or ()]


def _compiled(
    uv: Installer,
    needs: Sequence[Need],
    own: OwnPackages,
    options: Sequence[str],
    *,
    project: Path,
    folder: Path,
    previous: str,
) -> str:
    """What uv finds. Each plugin is a package to it, so that it says which of them exclude each other."""
    plugins = sorted({need.plugin for need in needs})
    _write_projects(folder, plugins, needs, own)
    constraints, lock = folder / "constraints.txt", folder / "lock.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(own.versions.items())))
    lock.write_text(previous)
    hidden = [*(f"{PLUGIN}{number}" for number in range(len(plugins))), *sorted(own.always)]
    done = uv.run(
        [
            *(
                "pip",
                "compile",
                str(folder / "plugins.in"),
                "--output-file",
                str(lock),
                "--constraints",
                str(constraints),
            ),
            *("--python", sys.executable, "--universal", "--generate-hashes", "--no-sources", "--no-header"),
            *("--quiet", "--no-emit-index-url", "--no-emit-find-links", "--color", "never", "--no-progress"),
            *(*uv.no_index, *options),
            *(f"--no-emit-package={name}" for name in hidden),
        ],
        project,
    )
    if done.status:
        raise failed_resolution(done.said, needs, own, plugins)
    text = _EXCLUDED.sub("", lock.read_text()).replace(f"-c {constraints}", OWN)
    return _BY_PLUGIN.sub(lambda found: f"{found['before']}plugin {plugins[int(found['number'])]}", text)


def _write_projects(folder: Path, plugins: Sequence[str], needs: Sequence[Need], own: OwnPackages) -> None:
    """A project for each plugin, that needs what the plugin needs, and a file that asks for all of them.

    Another one is opa-stack, for packages that are made for it: no index is asked for what runs already.
    """
    lines = [
        _write_project(
            folder / OWN, own.versions[OWN], [], {extra: list(map(str, needed)) for extra, needed in own.extras.items()}
        )
    ]
    for number, plugin in enumerate(plugins):
        wanted = [need for need in needs if need.plugin == plugin]
        texts = [need.text for need in wanted if not own.meets(need.requirement)]  # no index is asked for what is there
        lines.append(_write_project(folder / f"{PLUGIN}{number}", "0", texts))
    (folder / "plugins.in").write_text("".join(lines))


def _write_project(
    project: Path, version: str, requirements: Sequence[str], extras: Mapping[str, Sequence[str]] | None = None
) -> str:
    """A project named as its folder; gives the line that asks for it."""
    # Strings and lists of JSON are those of TOML.
    lines = [
        f"[project]\nname = {json.dumps(project.name)}\nversion = {json.dumps(version)}",
        f"dependencies = {json.dumps(requirements)}\n[project.optional-dependencies]",
        *(f"{extra} = {json.dumps(needed)}" for extra, needed in (extras or {}).items()),
    ]
    project.mkdir()
    (project / "pyproject.toml").write_text("\n".join(lines) + "\n")
    return f"{project.name} @ {project.as_uri()}\n"

"""Find versions with pip, where there is no uv: for this Python and this platform, and not for a lock that is kept."""

from __future__ import annotations

import itertools
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opa._util.distributions import canonical_name
from opa.errors import PackagesError
from opa.loading.own_extras import OWN, with_condition
from opa.packages.failures import failed_resolution, refusal_of_own
from opa.packages.lock import head_for
from opa.packages.needs import Need
from opa.packages.own import OwnPackages
from opa.packages.programs import Done, Installer, scratch_folder

_CAUSE = "The conflict is caused by:"


def resolve_here(needs: Sequence[Need], own: OwnPackages, pip: Installer, *, python: str) -> str:
    """The text of a lock for `needs` that holds on this platform alone.

    Args:
        needs: what plugins need.
        own: what opa-stack needs.
        pip: finds the versions.
        python: the lowest Python that plugins work with, for the head.

    Raises:
        PackagesError: there are no versions that fit.
    """
    refusal = refusal_of_own(needs, own)
    if refusal is not None:
        raise refusal
    texts = list(dict.fromkeys(need.text for need in needs if not own.meets(need.requirement)))
    if not texts:
        return head_for(needs, python)
    with scratch_folder() as folder:
        constraints, report = folder / "constraints.txt", folder / "report.json"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in sorted(own.versions.items())))
        # For packages that are made for opa-stack: no index is asked for what runs already.
        texts.append(f"{OWN} @ {_write_own(folder, own).as_uri()}")
        empty = folder / "empty"  # a name of a package such as `a.zip` is a file to pip, where there is one
        empty.mkdir()
        command = [
            *("install", *pip.no_index, "--dry-run", "--ignore-installed", "--report", str(report), "--no-input"),
            *("--disable-pip-version-check", "--no-color", "--constraint", str(constraints)),
        ]
        done = pip.run([*command, "--", *texts], empty)
        if done.status and "(from versions: none)" in done.said:  # which it says too of an index that it cannot ask
            done = pip.run([*command, "-vv", "--", *texts], empty)
        if done.status:
            raise failed_resolution(_explained(done), needs, own)
        pins = [_pin(each) for each in json.loads(report.read_text())["install"]]
    body = [lines for name, lines in sorted(pins) if name not in own.always]
    return f"{head_for(needs, python)}\n{''.join(body)}"


def _write_own(folder: Path, own: OwnPackages) -> Path:
    """A wheel with the metadata of opa-stack and nothing else; pip would build a project."""
    name = f"{OWN.replace('-', '_')}-{own.versions[OWN]}"
    lines = [f"Metadata-Version: 2.1\nName: {OWN}\nVersion: {own.versions[OWN]}\n"]
    for extra, requirements in own.extras.items():
        lines.append(f"Provides-Extra: {extra}\n")
        for requirement in requirements:
            lines.append(f"Requires-Dist: {with_condition(requirement, f'extra == {json.dumps(extra)}')}\n")
    wheel = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.dist-info/METADATA", "".join(lines))
        archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}.dist-info/RECORD", "")
    return wheel


def _explained(done: Done) -> str:
    """What pip says of a failure: a part of that it prints as news."""
    lines = done.output.splitlines()
    news = [line for line in lines if line.lstrip().startswith("Could not fetch URL")]
    if _CAUSE in lines:
        after = lines[lines.index(_CAUSE) + 1 :]
        return "\n".join([*news, *itertools.takewhile(str.strip, after)])
    return "\n".join([*news, done.said])


def _pin(found: dict[str, Any]) -> tuple[str, str]:
    name = canonical_name(found["metadata"]["name"])
    hashes = found["download_info"].get("archive_info", {}).get("hashes", {})
    if not hashes:
        raise PackagesError(f"pip gives no hash of the package '{name}'", hint="Use uv, or another pip")
    told = "".join(f" \\\n    --hash={kind}:{value}" for kind, value in sorted(hashes.items()))
    return name, f"{name}=={found['metadata']['version']}{told}\n"

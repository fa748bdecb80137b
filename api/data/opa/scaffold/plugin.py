"""Add a plugin to a project, with its tests."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from opa.errors import ProjectError
from opa.scaffold.names import check_plugin_name
from opa.scaffold.project import write_files
from opa.scaffold.template import File, plugin_files


def add_plugin(
    project: Path, name: str, *, with_task: bool, with_sql: bool = False, with_admin: bool = False
) -> tuple[File, ...]:
    """Write a plugin into `plugins/` of a project, and its tests into `tests/`: both or nothing.

    Raises:
        ProjectError: the name cannot be used, the folder is no project, or something is in the way.
    """
    check_plugin_name(name)
    if not (project / "plugins").is_dir():
        raise _no_project(project)
    files = plugin_files(name, with_task=with_task, with_sql=with_sql, with_admin=with_admin)
    ways = [f"plugins/{name}", f"plugins/{name}-meta.json", *(file.path for file in files)]
    if found := [path for path in ways if os.path.lexists(project / path)]:
        raise ProjectError(
            f"{' and '.join(found)} {'is' if len(found) == 1 else 'are'} there already",
            where=str(project),
            hint="Nothing was written. Take another name",
        )
    written: list[Path] = []
    has_tests = (project / "tests").is_dir()
    try:
        for file in files:
            write_files(project, [file])
            written.append(project / file.path)
    except OSError as error:
        failed = project / files[len(written)].path
        for path in (*written, *([] if isinstance(error, FileExistsError) else [failed])):
            with contextlib.suppress(OSError):  # on a file system that is read-only, of what is not there too
                path.unlink()
        if not has_tests:
            with contextlib.suppress(OSError):  # it was not made, or another process has put something there
                (project / "tests").rmdir()
        left = [path for path in written if os.path.lexists(path)]
        raise ProjectError(
            f"the plugin cannot be written: {error.strerror or error}",
            where=str(error.filename or failed),
            hint=f"Remove {' and '.join(map(str, left))}" if left else "Nothing of it is left",
        ) from None
    return files


def _no_project(folder: Path) -> ProjectError:
    around = next((parent for parent in folder.parents if (parent / "plugins").is_dir()), None)
    return ProjectError(
        "there is no folder plugins/ here, into which a plugin could be put",
        where=str(folder),
        hint=f"Run it in the folder of the project: cd {around}" if around else "Make a project first: opa new NAME",
    )

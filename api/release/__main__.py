"""`make dist`, or `python -m release` in `api/`."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from opa import __version__
from release.changelog import UNRELEASED, notes_of
from release.image import build_image, has_docker, save_image
from release.packages import build_packages
from release.problem import ReleaseError
from release.tree import Tree, tree_at

ROOT = Path(__file__).resolve().parents[2]
SUMS = "SHA256SUMS"
NOTES = "RELEASE-NOTES.md"


def main() -> int:
    """Make the files, and give the exit status."""
    parser = argparse.ArgumentParser(prog="make dist ARGS=…", description="Make the files of a release.")
    parser.add_argument("--allow-dirty", action="store_true", help="build what is not committed, too")
    parser.add_argument("--unreleased", action="store_true", help="take the notes from the section Unreleased")
    parser.add_argument("--no-image", action="store_true", help="build no image")
    given = parser.parse_args()
    try:
        make(ROOT, allow_dirty=given.allow_dirty, unreleased=given.unreleased, with_image=not given.no_image)
    except ReleaseError as error:
        print(f"make dist: {error}", file=sys.stderr)
        return 1
    return 0


def make(root: Path, *, allow_dirty: bool, unreleased: bool, with_image: bool) -> None:
    """Make the files in `dist/` of the clone, whole or not at all.

    Raises:
        ReleaseError: there is none; the text says why.
    """
    tree = tree_at(root, allow_dirty=allow_dirty)
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = notes_of(changelog, UNRELEASED if unreleased else __version__)
    output = root / "dist"
    check_replaceable(output)
    with tempfile.TemporaryDirectory() as folder:
        work, made = Path(folder) / "work", Path(folder) / "dist"
        work.mkdir()
        made.mkdir()
        (made / NOTES).write_text(f"# opa-stack {__version__}\n\n{notes}", encoding="utf-8")
        build_packages(tree, made, work)
        if not with_image:
            print("no image: --no-image", file=sys.stderr)
        elif not has_docker():
            print("no image and no SBOM: there is no Docker engine", file=sys.stderr)
        else:
            _add_image(tree, made, Path(folder) / "image")
        _write_sums(made)
        put(made, output)
    for file in sorted(output.iterdir()):
        print(f"dist/{file.name}")


def _add_image(tree: Tree, made: Path, work: Path) -> None:
    from release.sbom import sbom_of  # what reads and writes the format is heavy

    work.mkdir()
    name = build_image(tree, __version__, work)
    sbom = sbom_of(name, __version__, tree.epoch)
    (made / f"opa-stack-{__version__}-image.cdx.json").write_text(sbom, encoding="utf-8")
    save_image(name, made / f"opa-stack-{__version__}-image.tar.gz")


def check_replaceable(output: Path) -> None:
    """See that nothing is in the folder which something else has put there.

    Raises:
        ReleaseError: there is.
    """
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ReleaseError(f"{output} is a link, or no folder: move it away")
    if output.exists() and any(output.iterdir()) and not (output / SUMS).is_file():
        raise ReleaseError(f"{output} has files that make dist has not made: move them away")


def put(made: Path, output: Path) -> None:
    """Put the folder into its place, in which there are the files of one release at each moment, or none.

    It comes from another file system as a rule, and is copied: to a folder beside, of which nothing is taken for one.

    Raises:
        ReleaseError: it cannot be written.
    """
    beside = output.with_name(f"{output.name}.build") / output.name  # both names are ignored by git
    try:
        shutil.rmtree(beside.parent, ignore_errors=True)
        beside.parent.mkdir()
        shutil.copytree(made, beside)
        if output.exists():
            shutil.rmtree(output)
        beside.rename(output)
    except OSError as error:
        raise ReleaseError(f"{error.filename or output} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside.parent, ignore_errors=True)


def _write_sums(folder: Path) -> None:
    """Write what `sha256sum --check` reads."""
    lines = []
    for file in sorted(folder.iterdir()):
        with file.open("rb") as opened:
            lines.append(f"{hashlib.file_digest(opened, 'sha256').hexdigest()}  {file.name}\n")
    (folder / SUMS).write_text("".join(lines), encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())

"""The programs that resolve and install: uv, or pip. Where they get packages from is what their environment says."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from opa._util.image import PIP, is_image
from opa._util.masking.secrets import mask_text
from opa.errors import PackagesError
from opa.process.extras import install_command

BUNDLED = "ensurepip/_bundled/pip-*.whl"

# What each of them is told where its own variables say nothing: the first that is set of those of the other one.
OF_UV: dict[str, tuple[str, ...]] = {
    "UV_DEFAULT_INDEX": ("UV_INDEX_URL", "PIP_INDEX_URL"),
    "UV_INDEX": ("UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    "UV_FIND_LINKS": ("PIP_FIND_LINKS",),
    "UV_INSECURE_HOST": ("PIP_TRUSTED_HOST",),
    "SSL_CERT_FILE": ("PIP_CERT",),
}
OF_PIP: dict[str, tuple[str, ...]] = {
    "PIP_INDEX_URL": ("UV_DEFAULT_INDEX", "UV_INDEX_URL"),
    "PIP_EXTRA_INDEX_URL": ("UV_INDEX", "UV_EXTRA_INDEX_URL"),
    "PIP_FIND_LINKS": ("UV_FIND_LINKS",),
    "PIP_TRUSTED_HOST": ("UV_INSECURE_HOST",),
    "PIP_CERT": ("SSL_CERT_FILE",),
}


@dataclass(frozen=True)
class Done:
    """What became of a program.

    Attributes:
        status: its exit status.
        output: what it has printed, without passwords.
        said: what it has printed as errors, without passwords.
    """

    status: int
    output: str
    said: str


@dataclass(frozen=True)
class Installer:
    """uv or pip.

    Attributes:
        command: what runs it.
        is_uv: which one it is.
    """

    command: tuple[str, ...]
    is_uv: bool

    @property
    def no_index(self) -> list[str]:
        """The option that leaves out the index, where the environment says so; uv reads no variable for it."""
        is_wanted = any(os.environ.get(name, "0") not in ("", "0", "false") for name in ("UV_NO_INDEX", "PIP_NO_INDEX"))
        return ["--no-index"] if is_wanted else []

    def run(self, arguments: Sequence[str], folder: Path) -> Done:
        """Run it, and wait for it. It asks nobody.

        Args:
            arguments: what comes behind its name.
            folder: its current folder.

        Raises:
            PackagesError: it cannot be run.
        """
        try:
            done = subprocess.run(  # noqa: S603
                [*self.command, *arguments],
                cwd=folder,
                env=environment(os.environ, is_uv=self.is_uv),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise PackagesError(f"{self.command[0]} cannot be run: {error.strerror}", hint="Install uv anew") from None
        return Done(done.returncode, mask_text(done.stdout), mask_text(done.stderr))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what the programs read and write, which is gone in the end.

    Raises:
        PackagesError: nothing can be written there.
    """
    try:
        with TemporaryDirectory(prefix="opa-deps-") as folder:
            yield Path(folder)
    except OSError as error:
        raise PackagesError(
            f"temporary files cannot be written: {error.strerror or error}",
            hint="Free some space, or name another folder in the variable TMPDIR",
        ) from None


def find_uv() -> Installer | None:
    """uv, as a package of this environment or as a program in PATH."""
    if importlib.util.find_spec("uv") is not None:
        import uv

        try:
            return Installer((uv.find_uv_bin(),), is_uv=True)
        except FileNotFoundError:
            pass
    found = shutil.which("uv")
    return Installer((found,), is_uv=True) if found else None


def way_to_uv() -> str:
    """What to do where there is no uv."""
    if is_image():
        return "The image is without it: run opa deps in the project, outside of a container"
    return f"Install it: {install_command('deps')}, or put uv into PATH"


def find_pip() -> Installer | None:
    """The pip of this environment, of the image, or the one with which Python makes environments."""
    # -I: it takes no file of the current folder, and none of PYTHONPATH, for a module of its own.
    if importlib.util.find_spec("pip") is not None:
        return Installer((sys.executable, "-I", "-m", "pip"), is_uv=False)
    bundled = [PIP, *sorted(Path(os.__file__).parent.glob(BUNDLED), reverse=True)]
    wheel = next((each for each in bundled if each.is_file()), None)
    return Installer((sys.executable, "-I", f"{wheel}/pip"), is_uv=False) if wheel else None


def find_installer() -> Installer:
    """uv, or else pip.

    Raises:
        PackagesError: there is neither.
    """
    found = find_uv() or find_pip()
    if found is None:
        raise PackagesError("packages are installed by uv or pip, and neither is there", hint=way_to_uv())
    return found


def environment(environ: Mapping[str, str], *, is_uv: bool) -> dict[str, str]:
    """The environment of uv or pip: with the index of the other one where its own variables name none."""
    result = dict(environ)
    for name, others in (OF_UV if is_uv else OF_PIP).items():
        value = next((environ[other] for other in (name, *others) if environ.get(other)), None)
        if value is not None and name not in environ:
            result[name] = _as_written(name, value)
    return result


def _as_written(name: str, value: str) -> str:
    """A list as the program has it: uv separates links by commas, pip by spaces, and knows no names of indexes."""
    if name == "UV_FIND_LINKS":
        return ",".join(value.split())
    if name == "PIP_FIND_LINKS":
        return " ".join(value.split(","))
    if name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        return " ".join(_without_name(each) for each in value.split())
    return value


def _without_name(index: str) -> str:
    name, equals, address = index.partition("=")
    return address if equals and "/" not in name else index

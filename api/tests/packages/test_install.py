from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from opa._util.sources import PACKAGE_FOLDER
from opa.errors import MissingPackagesError, PackagesError, PluginPathError, RequirementError
from opa.loading.packages_folder import INCOMPLETE, MARK, PackagesFolder
from opa.packages import folder as folders
from opa.packages.folder import replace_folder
from opa.packages.install import install_into_folder
from opa.packages.programs import find_pip, find_uv
from tests.packages.deps import deps, needs
from tests.project import NOBODY, Project, no_root
from tests.serve.process import wait_until
from tests.wheels import Wheels

IMPORT = (
    "import ladle\nfrom opa import get_router\nrouter = get_router()\nrouter.get('/version')(lambda: ladle.version)\n"
)


@pytest.fixture
def locked(needing: Project, wheels: Wheels) -> Project:
    """A project with a plugin that needs `ladle`, which needs `spoon`, and the lock."""
    wheels.add("ladle", "1.0", ["spoon"])
    wheels.add("spoon", "2.0")
    needs(needing, "soup", "ladle", code=IMPORT)
    assert deps().status == 0
    return needing


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_the_lock_has_is_installed_into_a_folder_that_plugins_import_from(
    locked: Project, installer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installer == "pip":
        monkeypatch.setattr("opa.packages.programs.find_uv", lambda: None)
    assert deps("check").output.startswith(
        "error: plugin 'soup' needs ladle, which is not installed (plugins/soup.py:1)"
    )
    assert deps("install", "--target", ".opa/packages").output == ("installed ladle 1.0, spoon 2.0 in .opa/packages\n")
    assert {"ladle", "spoon", "ladle-1.0.dist-info", MARK} <= names_in(locked.folder / ".opa/packages")
    assert deps("check").output == "ok: plugins.lock is up to date, and 1 need of plugins met\n"
    with locked.client() as client:
        assert client.get("/version").json() == "1.0"
    assert deps("install", "--target", ".opa/packages").output == ("nothing to install, .opa/packages has everything\n")
    assert names_in(locked.folder / ".opa") == {"packages"}


def test_a_folder_that_is_installed_again_has_nothing_from_before(locked: Project, wheels: Wheels) -> None:
    target = locked.folder / "packages"
    deps("install", "--target", "packages")
    wheels.add("bowl", "1.0")
    needs(locked, "soup", "bowl")
    deps()
    assert deps("install", "--target", "packages").status == 0
    assert "bowl" in names_in(target)
    assert not {"ladle", "spoon"} & names_in(target)
    assert {name for name in names_in(locked.folder) if name.startswith(".opa")} == set()


def test_a_package_that_is_not_what_the_lock_says_changes_nothing(locked: Project, wheels: Wheels) -> None:
    deps("install", "--target", "packages")
    before = names_in(locked.folder / "packages")
    lock = locked.folder / "plugins.lock"
    first = next(part for part in lock.read_text().split() if part.startswith("--hash"))
    lock.write_text(lock.read_text().replace(first, first[: len("--hash=sha256:")] + "0" * 64))
    done = deps("install", "--target", "packages")
    assert done.status == 1
    assert "a package is not what plugins.lock says" in done.output
    assert names_in(locked.folder / "packages") == before
    assert names_in(locked.folder) == {"packages", "plugins", "settings", "plugins.lock", "wheels"}


def test_a_package_that_the_index_has_no_more_leaves_no_half_of_the_others(locked: Project, wheels: Wheels) -> None:
    (wheels.folder / "spoon-2.0-py3-none-any.whl").unlink()
    shutil.rmtree(os.environ["UV_CACHE_DIR"], ignore_errors=True)
    done = deps("install", "--target", "packages")
    assert done.status == 1
    assert "the index does not have what plugins.lock asks for" in done.output
    assert names_in(locked.folder / "packages") == set()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "--index-url http://127.0.0.1:9",
            "has '--index-url http://127.0.0.1:9', which is no NAME==VERSION with hashes",
        ),
        ("ladle @ file:///ladle.whl --hash=sha256:00", "which is no NAME==VERSION with hashes"),
        ("ladle==1.0", "which is no NAME==VERSION with hashes"),
        ("ladle==1.* --hash=sha256:00", "which is no NAME==VERSION with hashes"),
        ("ladle==1.0; os_name ~= 'posix' --hash=sha256:00", "which is no NAME==VERSION with hashes"),
        (f"ladle==1.0; {'(' * 3000}os_name == 'a'{')' * 3000} --hash=sha256:00", "has 'ladle==1.0; ((("),
    ],
)
def test_a_lock_that_says_more_than_versions_and_hashes_is_refused(locked: Project, line: str, told: str) -> None:
    lock = locked.folder / "plugins.lock"
    lock.write_text(f"{lock.read_text()}{line}\n")
    done = deps("install", "--target", "packages")
    assert told in done.output
    assert "plugins.lock:" in done.output
    assert not (locked.folder / "packages").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff", "plugins.lock is not UTF-8 text, in line 1"),
        (b"<<<<<<< HEAD\nladle==1.0 \\\n", "plugins.lock has '<<<<<<< HEAD', which is no NAME==VERSION with hashes"),
    ],
)
def test_a_lock_that_is_damaged_is_told_and_not_replaced(locked: Project, content: bytes, told: str) -> None:
    lock = locked.folder / "plugins.lock"
    lock.write_bytes(content)
    for arguments in ([], ["check"], ["install"]):
        done = deps(*arguments)
        assert done.status == 1
        assert told in done.output
        assert "Make it again: remove it, and run opa deps" in done.output
    assert lock.read_bytes() == content


def test_a_link_stays_one(locked: Project, wheels: Wheels) -> None:
    (locked.folder / "elsewhere").mkdir()
    (locked.folder / "packages").symlink_to("elsewhere")
    (locked.folder / "plugins.lock").rename(locked.folder / "shared.lock")
    (locked.folder / "plugins.lock").symlink_to("shared.lock")
    wheels.add("ladle", "2.0")
    before = names_in(locked.folder)

    assert deps("--upgrade").status == 0
    assert deps("install", "--target", "packages").status == 0
    assert "ladle==2.0" in (locked.folder / "shared.lock").read_text()
    assert "ladle-2.0.dist-info" in names_in(locked.folder / "elsewhere")
    assert names_in(locked.folder) == before
    assert (locked.folder / "packages").is_symlink()
    assert (locked.folder / "plugins.lock").is_symlink()


def test_a_folder_with_files_of_others_is_left_alone(locked: Project) -> None:
    done = deps("install", "--target", "plugins")
    assert "the folder has files that opa deps has not put there" in done.output
    assert "soup.py" in names_in(locked.plugins)


def test_a_folder_that_may_not_be_written_to_is_told(locked: Project) -> None:
    target, lock = locked.folder / "packages", (locked.folder / "plugins.lock").read_text()
    target.mkdir(0o555)
    with no_root(), pytest.raises(PackagesError, match=r"packages cannot be written: Permission denied .*packages\)"):
        replace_folder(target, lock, lambda _: None)
    assert names_in(target) == set()


def test_a_full_disk_is_told_and_changes_nothing(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    deps("install", "--target", "packages")
    before = names_in(locked.folder / "packages")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("opa.packages.install._install", full)
    (locked.folder / "packages" / MARK).write_text("{}")
    assert "the disk is full, and nothing was installed" in deps("install", "--target", "packages").output
    assert names_in(locked.folder / "packages") == before
    assert not [name for name in names_in(locked.folder) if name.startswith(".opa-new")]


def test_two_installations_into_one_folder_wait_for_one_another(locked: Project) -> None:
    target = locked.folder / "packages"
    target.mkdir()
    holder = os.open(target, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    results: list[str] = []
    lock = (locked.folder / "plugins.lock").read_text()
    threads = [
        threading.Thread(target=lambda: results.append(str(len(install_into_folder(lock, target))))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(thread.is_alive() for thread in threads))
    assert names_in(target) == set()
    os.close(holder)
    for thread in threads:
        thread.join()
    assert sorted(results) == ["0", "2"]
    assert {"ladle", "spoon", MARK} <= names_in(target)


def test_what_was_killed_half_way_is_removed_by_the_next_installation(locked: Project) -> None:
    deps("install", "--target", "packages")
    for left in (".opa-new-packages-abc", "packages/.opa-new-abc"):
        locked.plugin(f"{left}/ladle/__init__.py", folder=".")
    (locked.folder / "packages" / MARK).unlink()
    (locked.folder / "packages" / INCOMPLETE).touch()
    (locked.folder / "packages" / MARK).write_text("{}")
    assert deps("install", "--target", "packages").output == "installed ladle 1.0, spoon 2.0 in packages\n"
    assert not [name for name in names_in(locked.folder) if name.startswith(".opa-new")]
    assert names_in(locked.folder / "packages").isdisjoint({INCOMPLETE, ".opa-new-abc"})


def test_where_a_folder_cannot_be_exchanged_its_contents_are(locked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    target = locked.folder / "packages"
    assert deps("install", "--target", "packages").status == 0
    first = target.stat().st_ino
    (target / MARK).write_text("{}")
    (target / "left").touch()
    assert deps("install", "--target", "packages").status == 0
    assert target.stat().st_ino == first
    assert {"ladle", "spoon", MARK} <= names_in(target)
    assert names_in(target).isdisjoint({"left", INCOMPLETE})
    assert not [name for name in names_in(locked.folder) if name.startswith(".opa-new")]


def test_a_folder_that_is_not_whole_is_not_used(locked: Project) -> None:
    deps("install", "--target", ".opa/packages")
    (locked.folder / ".opa/packages" / INCOMPLETE).touch()
    with pytest.raises(RequirementError, match="requires the Python package 'ladle', which is not installed"):
        locked.prepare()


def test_no_package_of_the_folder_stands_in_for_one_of_opa_stack(locked: Project) -> None:
    deps("install", "--target", ".opa/packages")
    for name in ("starlette", "uvicorn"):
        locked.plugin(f"{name}/__init__.py", "raise SystemExit('mine')", folder=".opa/packages")
    locked.prepare()
    places = [index for index, entry in enumerate(sys.path) if isinstance(entry, PackagesFolder)]
    assert len(places) == 1
    assert not any("site-packages" in entry for entry in sys.path[places[0] :])
    code = "import sys; sys.path[:] = sys.argv[1:]; import starlette; print(starlette.__file__)"
    shown = subprocess.run([sys.executable, "-c", code, *sys.path], capture_output=True, text=True, check=True)
    assert ".opa" not in shown.stdout


def test_root_uses_no_packages_of_another_user_unless_they_are_named(locked: Project) -> None:
    deps("install", "--target", ".opa/packages")
    os.chown(locked.folder / ".opa/packages/ladle", NOBODY, NOBODY)
    with pytest.raises(PluginPathError, match="root does not use packages that belong to"):
        locked.prepare()
    locked.settings(PACKAGES_DIR=".opa/packages")
    locked.prepare()


def test_packages_for_another_python_are_warned_of(locked: Project, capsys: pytest.CaptureFixture[str]) -> None:
    deps("install", "--target", ".opa/packages")
    mark = locked.folder / ".opa/packages" / MARK
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"for": "Python 3.1 on a toaster"}))
    locked.prepare()
    assert "were installed for Python 3.1 on a toaster, and this is Python 3." in capsys.readouterr().err


def test_the_environment_has_what_the_lock_says_and_keeps_what_opa_stack_needs(
    locked: Project, wheels: Wheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = find_uv()
    assert uv is not None
    environment = tmp_path / "environment"
    subprocess.run([*uv.command, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    site = next(environment.glob("lib/python*/site-packages"))
    own = [str(PACKAGE_FOLDER.parent), *(entry for entry in sys.path if entry.endswith("site-packages"))]
    (site / "own.pth").write_text("\n".join(own))
    opa = [str(environment / "bin/python"), "-m", "opa", "deps"]
    done = subprocess.run([*opa, "install"], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.stdout, done.stderr) == ("installed ladle 1.0, spoon 2.0 in the environment\n", "")
    assert {"ladle", "spoon"} <= names_in(site)
    lock = locked.folder / "plugins.lock"
    lock.write_text(f"{lock.read_text()}starlette==0.1 --hash=sha256:{'0' * 64}\n")
    done = subprocess.run([*opa, "install"], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert done.stdout == "nothing to install, the environment has everything\n"


def test_a_stale_lock_is_told_by_both_checks(locked: Project, wheels: Wheels) -> None:
    deps("install", "--target", ".opa/packages")
    needs(locked, "soup", "ladle>=1", code=IMPORT)
    done = deps("check")
    assert done.status == 1
    assert done.output.splitlines() == [
        "error: plugin 'soup' needs ladle>=1 (plugins/soup.py:1), which plugins.lock does not have. Run opa deps",
        "error: plugins.lock has ladle, which no plugin needs. Run opa deps",
    ]
    (locked.folder / "plugins.lock").unlink()
    assert "error: there is no plugins.lock" in deps("check").output


def test_a_package_that_a_package_needs_is_looked_for_too(locked: Project) -> None:
    deps("install", "--target", ".opa/packages")
    for path in (locked.folder / ".opa/packages").glob("spoon*"):
        shutil.rmtree(path)
    assert "plugin 'soup' needs ladle, which needs spoon, which is not installed" in deps("check").output


def test_all_missing_packages_stop_the_start_at_once_with_one_command(locked: Project) -> None:
    needs(locked, "stew", "pot>=2", "spoon")
    with pytest.raises(MissingPackagesError) as caught:
        locked.prepare()
    soup, stew, both = map(str, caught.value.each)
    assert soup.startswith("plugin 'soup' requires the Python package 'ladle', which is not installed")
    assert "'pot>=2', which is not installed; the Python package 'spoon', which is not" in stew
    assert both == "2 plugins have no packages that they need. Install all of them: opa deps && opa deps install"
    (locked.folder / "plugins.lock").unlink()
    with pytest.raises(MissingPackagesError, match="pip install 'ladle' 'pot>=2' 'spoon'"):
        locked.prepare()
    locked.plugin("stew.py")
    with pytest.raises(RequirementError, match="Install it: pip install 'ladle'"):
        locked.prepare()
    locked.settings(PLUGIN_FAILURE="skip")
    assert set(locked.prepare().roster.skipped) == {"soup"}


def test_in_the_image_which_has_no_pip_packages_that_are_missing_are_for_its_dockerfile(
    locked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opa._util.image.PIP", locked.folder / "plugins.lock")
    step = "RUN opa deps install --target /packages in the Dockerfile of your own image, see docs/packages.md"
    with pytest.raises(RequirementError) as caught:
        locked.prepare()
    assert f"Install it: {step}" in str(caught.value)
    assert f"Install all of them: {step}" in deps("check").output
    needs(locked, "soup", "ladle", "spoon")
    with pytest.raises(RequirementError, match=f"Install them: opa deps in the project, then {step}"):
        locked.prepare()
    monkeypatch.setattr("opa.packages.resolve.find_uv", lambda: None)
    assert "uv, which is not installed. The image is without it: run opa deps in the project" in deps().output


def test_where_the_lock_has_them_the_command_is_the_one_that_installs_it(locked: Project) -> None:
    with pytest.raises(RequirementError, match="Install it: opa deps install"):
        locked.prepare()


def test_pip_is_the_one_of_the_environment() -> None:
    pip = find_pip()
    assert pip is not None
    assert not pip.is_uv

"""The kind: a plugin or package that is meant is not found by its name, and something wrong is told, or nothing."""

from __future__ import annotations

from tests.cases.place import Place, case

OPTIONAL = "default:\n  INSTALLED_PLUGINS:\n    - {NAME: acme.reports, OPTIONAL: true}\n"


@case("B14", "Metadata may begin with a byte order mark")
def byte_order_mark(place: Place) -> None:
    place.plugin("a.py", "x = 1")
    place.plugin("b/__init__.py", "x = 1")
    (place.plugins / "a-meta.json").write_bytes(b'\xef\xbb\xbf{"tags": ["x"]}')
    (place.plugins / "b/pyproject.toml").write_bytes(b'\xef\xbb\xbf[tool.opa]\ntags = ["x"]')
    seen = place.run("plugins", OPA_PLUGIN_BLACKLIST_TAGS="x")
    assert seen.stdout.count("tag 'x' is in PLUGIN_BLACKLIST_TAGS") == 2, seen.stdout + seen.stderr


@case("B18", "A package that does not import is told as such, and one that is not installed as that")
def a_broken_package(place: Place) -> None:
    place.write("pk/acme/__init__.py", "import requestz")
    place.write("pk/acme/reports/__init__.py", "")
    place.write("settings/s.yaml", OPTIONAL)
    path = ":".join([str(place.folder / "pk"), place.environ.get("PYTHONPATH", "")])
    seen = place.run("check", PYTHONPATH=path)
    assert seen.returncode == 1, seen.stderr
    assert "'acme' does not import: ModuleNotFoundError: No module named 'requestz'" in seen.stderr
    assert "pk/acme/__init__.py:1" in seen.stderr
    assert "not installed" not in seen.stderr
    place.write("pk/acme/__init__.py", "raise ValueError('no licence')")
    seen = place.run("check", PYTHONPATH=path, OPA_PLUGIN_FAILURE="skip")
    assert seen.returncode == 0, seen.stderr
    assert "ValueError: no licence" in seen.stderr
    place.write("settings/s.yaml", "default: {}")
    seen = place.run("check", OPA_PLUGIN_PATHS="acme.stuff:plugins")
    assert "plugin path 'acme.stuff:plugins' names the package 'acme.stuff', which is not installed" in seen.stderr


@case("B19", "Settings for an optional plugin that is not installed do no harm")
def settings_of_an_optional_plugin(place: Place) -> None:
    settings = "  PLUGIN_SETTINGS:\n    reports: {url: https://example.com}\n"
    place.write("settings/s.yaml", f"{OPTIONAL}{settings}  PLUGIN_OPTIONS:\n    reports: {{FAILURE: skip}}\n")
    seen = place.run("check")
    assert seen.returncode == 0, seen.stderr
    assert "is not installed" in seen.stderr
    assert "no plugin of this name" not in seen.stderr


@case("B20", "PLUGIN_OPTIONS for an unknown plugin gives a warning, and check counts what was skipped")
def options_of_no_plugin(place: Place) -> None:
    place.hello()
    place.plugin("broken.py", "import nope")
    seen = place.run("check", OPA_PLUGIN_OPTIONS__BROKEN__FAILURE="skip")
    assert "ok: 1 plugin loaded (hello), 1 skipped (broken);" in seen.stdout, seen.stdout + seen.stderr
    place.plugin("broken.py", "")
    seen = place.run("check", OPA_PLUGIN_OPTIONS__BROKN__FAILURE="skip")
    assert "PLUGIN_OPTIONS has 'BROKN', and there is no plugin of this name" in seen.stderr, seen.stderr
    assert "Did you mean 'broken'?" in seen.stderr


@case("B21", "A requirement finds a plugin whose name differs by dashes and underscores alone")
def dashes_and_underscores(place: Place) -> None:
    place.plugin("my_auth.py", "x = 1")
    place.plugin("my_auth-meta.json", '{"version": "1.0"}')
    place.plugin("aa_shop.py", "x = 1")
    place.plugin("aa_shop-meta.json", '{"requires": ["my-auth>=1.0"]}')
    seen = place.run("plugins")
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.index("my_auth") < seen.stdout.index("aa_shop"), "it is loaded behind what it requires"


@case("P4-packages", "Each Python package that a plugin requires and that is not installed is named")
def missing_packages(place: Place) -> None:
    place.plugin("a.py", "x = 1")
    place.plugin("a-meta.json", '{"packages": ["nowhere-one>=1", "fastapi", "nowhere-two"]}')
    seen = place.run("check")
    assert seen.returncode == 1
    assert "'nowhere-one>=1', which is not installed; the Python package 'nowhere-two'" in seen.stderr, seen.stderr
    assert "pip install 'nowhere-one>=1' 'nowhere-two'" in seen.stderr


@case("B36", "A plugin that is imported by its folder is not there twice: what to write is told")
def imported_by_the_folder(place: Place) -> None:
    place.plugin("shop/__init__.py", "")
    place.plugin("shop/tasks.py", "from opa import task\n@task(schedule=60)\ndef tick(): ...")
    place.plugin("report.py", "from plugins.shop.tasks import tick")
    path = ":".join([str(place.folder), place.environ.get("PYTHONPATH", "")])
    for environ in ({"PYTHONPATH": path}, {}):
        seen = place.run("check", **environ)
        assert seen.returncode == 1, seen.stdout
        assert "report.py:1" in seen.stderr
        assert "Plugins import from one another by their own name: write " in seen.stderr, seen.stderr
    assert "write 'from shop.tasks import tick'" in seen.stderr, seen.stderr


@case("B36-helper", "A plugin that a helper imports by the folder is there once, with its state and its schedule")
def a_helper_that_imports_by_the_folder(place: Place) -> None:
    place.plugin("shop/__init__.py", "rows = []")
    place.plugin("shop/tasks.py", "from opa import task\n@task(schedule=60)\ndef tick(): ...")
    place.write("helper.py", "from plugins.shop.tasks import tick\nfrom plugins.shop import rows")
    place.plugin("report.py", "import helper, shop\nassert helper.rows is shop.rows")
    path = ":".join([str(place.folder), place.environ.get("PYTHONPATH", "")])
    seen = place.run("check", PYTHONPATH=path)
    assert seen.returncode == 0, seen.stderr
    assert "'plugins.shop' is imported, which is 'shop' of plugin 'shop' under a second name" in seen.stderr, (
        seen.stderr
    )
    assert "is the same as" not in seen.stderr, seen.stderr
    listed = place.run("tasks", "list", PYTHONPATH=path)
    assert listed.stdout.count("tick") == 1, listed.stdout

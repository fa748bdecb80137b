"""Settings.

Kinds:

- B8: a variable of another program is taken for a setting.
- B13: a settings file in Python is not run as the module that it is, and its values are not those of other formats.
- B37: what the process itself writes counts as a change of its code.
- P2: two places decide each for itself what the default is.
- B23: what `opa up` hands to its processes wins over what its user writes.
- B24: a value is written in one language and read in another.
- P4-env, P15-names: a slip of a known name is taken for a setting of the user's own, without a word.
- P9: what was written for one thing is given to another that took its name.
- P7-up, P8: what is true of all processes is told by each of them.
- B41: a value that many programs read in one way is read in another, without a word.
- B42: what a variable stands for is guessed, though a model says it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import opa
from tests.cases.place import Place, case
from tests.serve.process import is_running, wait_until

HEALTH_CHECK = Path(opa.__file__).with_name("healthcheck.py")


@case("B8", "Variables that Kubernetes makes for a service called `opa` stop nothing")
def a_service_called_opa(place: Place) -> None:
    links = {
        "OPA_PORT": "tcp://10.96.12.7:8000",
        "OPA_SERVICE_HOST": "10.96.12.7",
        "OPA_PORT_8000_TCP": "tcp://10.96.12.7:8000",
        "OPA_FLOWER_PORT": "tcp://10.96.12.8:5555",
    }
    checked = place.run("config", "PORT", **links)
    assert checked.returncode == 0, checked.stderr
    assert "8000    default-settings.yaml" in checked.stdout
    assert "left alone" in checked.stderr
    command = [sys.executable, "-I", str(HEALTH_CHECK)]
    asked = subprocess.run(command, env=links, capture_output=True, text=True, timeout=20, check=False)
    assert not asked.stderr


@case("B13", "A settings file in Python may have dataclasses and paths")
def a_settings_file_with_a_dataclass(place: Place) -> None:
    place.write(
        "settings/s.py",
        """
        from dataclasses import dataclass
        from logging import DEBUG
        from pathlib import Path

        @dataclass
        class Smtp:
            host: str = "mail"

        SMTP = {"host": Smtp().host}
        PLUGIN_PATHS = [Path(__file__).parent.parent / "plugins"]
        """,
    )
    del place.environ["OPA_PLUGIN_PATHS"]
    shown = place.run("config", "SMTP")
    assert '"mail"' in shown.stdout, shown.stderr
    checked = place.run("check")
    assert checked.returncode == 0, checked.stderr


@case("B37", "A plugin may write a JSON file beside itself, and is not started again for it")
def a_plugin_that_writes_beside_itself(place: Place) -> None:
    place.plugin(
        "cacher.py",
        """
        import json, pathlib, time
        pathlib.Path(__file__).with_name("cache.json").write_text(json.dumps({"t": time.time()}))
        """,
    )
    place.start(OPA_RELOAD="true", OPA_RELOAD_POLLING="yes")
    place.wait_until_ready()
    place.hello()
    wait_until(lambda: place.answers("/hello"), what=lambda: place.log)
    assert place.log.count("reload:") == 1, place.log


@case("P2", "`ENV=dev opa start` watches ./plugins where there is no /plugins")
def dev_without_plugin_paths(place: Place) -> None:
    del place.environ["OPA_PLUGIN_PATHS"]
    place.start(ENV="dev", OPA_DEBUGPY="false")
    place.wait_until_ready()
    place.hello()
    wait_until(lambda: place.answers("/hello"), what=lambda: place.log)


@case("B23", "A change of PLUGIN_PATHS in a settings file takes effect while `opa up` runs, in a folder with an emoji")
def plugin_paths_that_change(place: Place) -> None:
    folder = place.folder / "demo \N{ROCKET}"
    for name in ("plugins", "settings", "common"):
        (folder / name).mkdir(parents=True)
    place.folder = folder
    for name in ("OPA_PLUGIN_PATHS", "OPA_SETTINGS_DIR"):
        del place.environ[name]
    place.plugins = folder / "common"
    place.hello()
    place.start(command="up")
    place.wait_until_ready()
    place.write("settings/paths.yaml", "default: {PLUGIN_PATHS: [./plugins, ./common]}")
    wait_until(lambda: place.answers("/hello"), what=lambda: place.log)


@case("B24", "A plugin path may have an emoji, also where JSON has it as an escape")
def a_path_with_an_emoji(place: Place) -> None:
    folder = place.folder / "demo \N{ROCKET}"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1")
    listed = place.run("plugins", "--json", OPA_PLUGIN_PATHS=json.dumps([str(folder)]))
    assert listed.returncode == 0, listed.stderr
    assert '"name": "a"' in listed.stdout


@case("B42", "A variable is what the plugin's model asks for: a text of digits, a list with commas, an alias")
def plugin_settings_by_variables(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from pydantic import BaseModel, Field, SecretStr
        from opa import PluginSettings

        class Mail(BaseModel):
            code: str = ""

        class S(PluginSettings):
            token: str = ""
            key: SecretStr = Field(SecretStr(""), alias="apiKey")
            hosts: list[str] = []
            mail: Mail = Mail()
        """,
    )
    variables = {"TOKEN": "123456", "HOSTS": "a,b", "APIKEY": "42", "MAIL__CODE": "007"}
    checked = place.run("check", **{f"OPA_PLUGIN_SETTINGS__A__{name}": text for name, text in variables.items()})
    assert checked.returncode == 0, checked.stderr


@case("B42-dash", "A dash in the name of a plugin is an underscore in a variable, which may mean one plugin alone")
def a_plugin_with_a_dash(place: Place) -> None:
    model = (
        "from opa import PluginSettings\nclass S(PluginSettings):\n    token: str\nprint('GIVEN', S.current().token)"
    )
    place.plugin("my-shop.py", model)
    given = {"OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN": "123456"}
    checked = place.run("check", **given)
    assert checked.returncode == 0, checked.stderr
    assert "GIVEN 123456" in checked.stdout
    place.plugin("my_shop.py", "x = 1")
    checked = place.run("check", **given)
    assert checked.returncode == 1, checked.stdout
    assert "may be meant for the plugins 'my-shop' and 'my_shop'" in checked.stderr, checked.stderr


@case("B41", "A setting of one's own that is `no` in YAML gets one warning, with file and line")
def a_switch_that_is_a_text(place: Place) -> None:
    place.write("settings/s.yaml", "default: {MY_FLAG: no, MY_OTHER: 'off', RELOAD: no}")
    shown = place.run("config", "MY_FLAG")
    assert '"no"' in shown.stdout
    assert shown.stderr.count("MY_FLAG: is the text") == 1, shown.stderr
    assert "settings/s.yaml:1" in shown.stderr
    assert "MY_OTHER" not in shown.stderr
    assert "RELOAD" not in shown.stderr


@case("P15-names", "A variable that is close to a known setting gets a warning")
def variables_that_are_misspelt(place: Place) -> None:
    checked = place.run("check", OPA_LOGLEVLE="debug", OPA_WORKRES="2")
    assert "did you mean LOGLEVEL? (environment variable OPA_LOGLEVLE)" in checked.stderr, checked.stderr
    assert "did you mean WORKERS?" in checked.stderr, checked.stderr


@case("P4-env", "An ENV that is close to a known one gets a warning")
def an_env_that_is_misspelt(place: Place) -> None:
    assert 'did you mean "prod"?' in place.run("check", ENV="prdo").stderr


@case("P9", "A driver of a plugin's own does not get the address of the driver whose place it takes")
def a_driver_in_the_place_of_another(place: Place) -> None:
    del place.environ["OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD"]
    place.plugin(
        "mine.py",
        """
        from opa import Driver
        class Mine(Driver):
            name = "mine"
            def prepare(self):
                print("OPTS", dict(self.opts))
        """,
    )
    place.write("settings/s.yaml", "default: {OPTIONAL_COMPONENTS: {dynaconf_merge: true, WALRUS: {DRIVER: mine}}}")
    assert "OPTS {}" in place.run("check").stdout


def all_have_ended(tried: Path) -> bool:
    """Whether each process of an `opa up` has noted in the file that it imports the plugin, and has ended."""
    noted = [line.split() for line in tried.read_text().splitlines()] if tried.exists() else []
    modes = {mode for mode, _ in noted}
    return modes == {"api", "worker", "beat"} and not any(is_running(int(pid)) for _, pid in noted)


@case("P7-up", "A plugin that is broken is told once by `opa up`, in its last line; what was missing may be installed")
def a_broken_plugin_under_opa_up(place: Place) -> None:
    packages = place.folder / "site-packages"
    packages.mkdir()
    tried = place.folder / "tried"
    place.plugin(
        "shop.py",
        f"""
        import os

        with open({str(tried)!r}, "a") as file:
            file.write(f"{{os.environ['MODE']}} {{os.getpid()}}\\n")

        import not_there
        from opa import get_router

        router = get_router()
        """,
    )
    place.hello()
    del place.environ["OPA_OPTIONAL_COMPONENTS__CELERY__LOAD"]
    place.environ["PYTHONPATH"] = f"{place.environ.get('PYTHONPATH', '')}:{packages}"
    place.start(command="up", ENV="dev")
    wait_until(lambda: "error: plugin 'shop'" in place.log, what=lambda: place.log)
    wait_until(lambda: all_have_ended(tried), what=lambda: place.log)
    told = place.log
    assert told.count("No module named 'not_there'\n") <= 1, told
    assert told.count("error: plugin 'shop'") == 1, told
    assert told.splitlines()[-1].startswith("error: plugin 'shop'"), told
    (packages / "not_there").mkdir()
    (packages / "not_there" / "__init__.py").touch()
    wait_until(lambda: place.answers("/hello"), what=lambda: place.log)
    assert "superuser" not in place.log
    assert place.log.count("error: plugin 'shop'") == 1, place.log
    assert "the process has ended" not in place.log, place.log
    assert len(re.findall(r"^\d\d:\d\d:\d\d api +2 plugins loaded \(hello, shop\)", place.log, re.MULTILINE)) == 1, (
        place.log
    )

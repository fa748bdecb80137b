"""Commands of plugins: `opa NAME …`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from opa import OpaError
from opa.cli.commands import app
from opa.cli.plugin_group import ELSEWHERE
from tests.project import Project

SHOP = """
    import typer
    from opa import state
    commands = typer.Typer(help="Look after the shop.")
    @commands.command()
    def open_up(door: str = "front", times: int = 1):
        "Open a door."
        print("open", door * times)
    @commands.command()
    async def runner():
        print(state["runner"])
"""


def opa(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "200"}, **options)


def printed(*arguments: str) -> str:
    result = opa(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def in_help(*arguments: str) -> dict[str, str]:
    """What `--help` says of each command."""
    rows = [line.strip("│ ").split("  ", 1) for line in printed(*arguments, "--help").splitlines() if "│" in line]
    return {name: rest[0].strip() if rest else "" for name, *rest in rows if not name.startswith("-")}


def test_a_typer_application_of_a_plugin_is_a_command_of_its_name(project: Project) -> None:
    project.plugin("my_shop.py", SHOP)

    assert in_help()["my-shop"] == "Look after the shop."
    assert in_help("my-shop")["open-up"] == "Open a door."
    assert printed("my-shop", "open-up", "--door", "b", "--times", "2") == "open bb"
    assert printed("my-shop", "runner") == "command"


def test_an_application_with_one_command_is_called_by_both_names(project: Project) -> None:
    project.plugin("shop.py", SHOP.partition("@commands.command()\n    async")[0])

    assert printed("shop", "open-up") == "open front"
    assert opa("shop", "--door", "x").exit_code == 2


def test_the_help_imports_no_plugin(project: Project) -> None:
    project.plugin("shop.py", "raise RuntimeError\nimport typer\ncommands = typer.Typer(help='Sell.')")

    assert in_help()["shop"] == "Sell."
    with pytest.raises(OpaError, match="plugin 'shop' does not import: RuntimeError"):
        opa("shop", "open")


def test_commands_in_a_file_of_a_package_are_imported_for_a_command_only(project: Project) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/commands.py", SHOP)

    project.prepare()
    assert "shop.commands" not in sys.modules
    assert in_help()["shop"] == "Look after the shop."
    assert printed("shop", "open-up") == "open front"


def test_a_mistake_in_that_file_is_told_with_its_line(project: Project) -> None:
    project.plugin("shop/__init__.py")
    project.plugin("shop/commands.py", "import typer\ncommands = typer.Typer()\nraise KeyError('nothing')")

    with pytest.raises(OpaError, match="commands.py of plugin 'shop' does not import: KeyError") as raised:
        opa("shop", "open-up")
    assert raised.value.where == f"{project.plugins / 'shop' / 'commands.py'}:3"


def test_metadata_gives_commands_names_of_their_own(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"commands": {"open-up": "Open it.", "tasks runner": "Who runs."}})

    assert in_help()["open-up"] == "Open it."
    assert "shop" not in in_help()
    assert in_help("tasks")["runner"] == "Who runs."
    assert printed("open-up") == "open front"
    assert printed("tasks", "runner") == "command"


def test_a_command_of_the_metadata_that_the_application_lacks_is_told(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"commands": {"close": "Close it."}})

    with pytest.raises(
        OpaError, match=r"has the command 'close', which its Typer application does not have.*open-up, runner"
    ):
        opa("close")


@pytest.mark.parametrize(
    ("commands", "problem"),
    [
        (["a"], "is a list, not an object"),
        ({"Shop": "x"}, "has the name 'Shop': a name is of lower-case letters"),
        ({"a b c": "x"}, "has the name 'a b c'"),
        ({"a": 3}, "says about 'a' what is not a string of one line"),
        ({"a": "x\ny"}, "says about 'a' what is not a string of one line"),
        ({"a": "x" * 1001}, "has a text of more than 1000 characters"),
        ({"a" * 2000: "x"}, "has a text of more than 1000 characters"),
    ],
)
def test_commands_of_the_metadata_in_a_wrong_shape_are_refused(
    project: Project, commands: object, problem: str
) -> None:
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"commands": commands})

    with pytest.raises(OpaError, match=f"'commands' in plugin metadata {problem}"):
        project.prepare()


def test_a_plugin_does_not_replace_a_command_of_opa(project: Project) -> None:
    for name in ("check", "keys"):
        project.plugin(f"{name}.py", SHOP)

    assert "Look after" not in "".join(in_help().values())
    assert printed("keys", "list") == "no keys"
    checked = opa("check")
    assert (
        "the command 'check' of plugin 'check' cannot be called: opa-stack has a command of that name" in checked.output
    )
    assert "the command 'keys' of plugin 'keys' cannot be called: plugin 'access_keys' has a command" in checked.output


def test_without_the_plugin_its_command_does_not_exist(project: Project) -> None:
    project.settings(PLUGIN_BLACKLIST_RE=".*access_keys$")

    assert "keys" not in in_help()
    assert "No such command 'keys'" in opa("keys", "list").output


def test_a_command_that_is_misspelt_gets_those_of_plugins_suggested(project: Project) -> None:
    project.plugin("shop.py", SHOP)

    result = opa("shpo")
    assert result.exit_code == 2
    assert "Did you mean 'shop'?" in result.output


@pytest.mark.parametrize("word", ELSEWHERE)
def test_a_command_of_another_framework_is_answered_with_that_of_opa(project: Project, word: str) -> None:
    result = opa(word)
    assert result.exit_code == 2
    assert f"No such command '{word}'. Use: {ELSEWHERE[word]}" in result.output
    program, *meant = ELSEWHERE[word].split()
    command = meant[:2] if meant[:1] == ["migrate"] else meant[:1]
    assert program != "opa" or opa(*command, "--help").exit_code == 0


def test_a_plugin_may_have_a_command_of_that_name(project: Project) -> None:
    project.plugin("serve.py", SHOP)
    assert opa("serve", "--help").exit_code == 0


def test_the_help_works_where_the_settings_have_a_mistake(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.settings(LOGLEVEL="loud")

    result = opa("--help")
    assert result.exit_code == 0
    assert "Load settings and plugins" in result.stdout
    assert "the commands of plugins are not shown: " in result.stderr
    assert "LOGLEVEL" in result.stderr


def completed(*words: str) -> list[str]:
    """What a shell offers for the last one of `words`; nothing else is printed."""
    asked = {"_OPA_COMPLETE": "complete_bash", "COMP_WORDS": f"opa {' '.join(words)}", "COMP_CWORD": str(len(words))}
    result = CliRunner().invoke(app, [], prog_name="opa", env=asked)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.split()


def test_a_shell_completes_the_commands_of_plugins_and_their_options(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("shop/__init__.py", "print('imported')")
    project.plugin("shop/commands.py", SHOP)

    assert completed("sh") == ["shell", "shop"]
    assert completed("shop", "") == ["open-up", "runner"]
    assert completed("shop", "open-up", "--d") == ["--door"]
    assert capsys.readouterr() == ("", "")


def test_a_shell_is_told_nothing_of_mistakes_and_completes_what_is_known(project: Project) -> None:
    project.plugin("shop/__init__.py", "raise RuntimeError")
    project.plugin("shop/commands.py", SHOP)

    assert completed("sh") == ["shell", "shop"]
    assert completed("shop", "") == completed("shpo", "") == []
    project.settings(LOGLEVEL="loud")
    assert completed("sh") == ["shell"]
    assert completed("shop", "") == []
    assert completed("tasks", "ca") == ["cancel"]
    assert completed("check", "--js") == ["--json"]


@pytest.mark.parametrize("value", ["['a']", "3", "None", "typer"])
def test_a_plugin_may_use_the_name_for_something_else(project: Project, value: str) -> None:
    project.plugin("shop.py", f"import typer\nfrom opa import get_router\ncommands = {value}\nrouter = get_router()")

    assert "shop" not in in_help()
    assert opa("check").exit_code == 0


def test_what_is_no_application_is_told_when_it_is_called(project: Project) -> None:
    project.plugin("shop.py", "from other import commands")
    project.plugin("other.py", "commands = 3")

    with pytest.raises(OpaError, match="'commands' of plugin 'shop' is an int, not a typer.Typer"):
        opa("shop")


def test_a_parameter_that_typer_does_not_know_is_told_with_the_plugin(project: Project) -> None:
    project.plugin("shop.py", SHOP + "    @commands.command()\n    def odd(x: list[int] | dict): ...\n")

    with pytest.raises(
        OpaError, match="the commands of plugin 'shop' cannot be used: Typer currently doesn't support Union types"
    ):
        opa("shop", "odd")


COMPONENTS = """
    from typing import Annotated
    import typer
    from redis.asyncio import Redis
    from opa import Component, get_instance, get_plugin_manager
    from opa.commands import connected, connects
    commands = typer.Typer()
    def ready(): print("ready")
    def startup(): print("startup")
    def shutdown(): print("shutdown")
    def there(): print(*sorted(get_plugin_manager().optional_components))
    @commands.command()
    async def all(key: str, redis: Annotated[Redis, Component("aioredis")]):
        await redis.set(key, "1")
        print(await get_instance("aioredis").get(key), get_instance("walrus").get(key))
        there()
    @commands.command()
    @connects("AIOREDIS")
    async def one(redis: Redis = Component("aioredis")):
        there()
        print(await redis.ping())
    @commands.command()
    @connects()
    def none():
        there()
    @commands.command()
    @connects()
    async def later():
        async with connected("aioredis") as redis:
            there()
        there()
    @commands.command()
    async def fails():
        raise typer.Exit(3)
    pair = typer.Typer()
    commands.add_typer(pair, name="pair")
    @pair.callback()
    @connects("aioredis")
    async def before(redis: Annotated[Redis, Component("aioredis")]):
        await redis.ping()
    @pair.command()
    def rest(): there()
"""


@pytest.fixture
def with_redis(project: Project, redis_url: str) -> Project:
    project.component("AIOREDIS", "redis-aioredis", URL=redis_url)
    project.component("WALRUS", "redis-walrus", URL=redis_url)
    project.plugin("shop.py", COMPONENTS)
    return project


def test_a_command_runs_with_all_components_and_steps_as_a_process_has_them(with_redis: Project) -> None:
    assert printed("shop", "all", "key:of:commands").splitlines() == [
        "ready",
        "startup",
        "b'1' b'1'",
        "aioredis walrus",
        "shutdown",
    ]


def test_connects_names_what_is_connected_and_starts_nothing_else(with_redis: Project) -> None:
    assert printed("shop", "one").splitlines() == ["aioredis", "True"]
    assert printed("shop", "none") == ""
    assert printed("shop", "later").splitlines() == ["aioredis"]


def test_what_a_callback_needs_does_not_keep_the_rest_from_its_command(with_redis: Project) -> None:
    assert printed("shop", "pair", "rest").splitlines() == ["ready", "startup", "aioredis walrus", "shutdown"]


def test_the_plugins_are_stopped_where_a_command_ends_with_a_status(with_redis: Project) -> None:
    result = opa("shop", "fails")
    assert (result.exit_code, result.stdout.split()) == (3, ["ready", "startup", "shutdown"])


def test_a_component_that_is_not_there_is_told(project: Project) -> None:
    project.plugin("shop.py", COMPONENTS)

    for command in (["all", "x"], ["one"], ["later"]):
        with pytest.raises(OpaError, match="component 'aioredis' is not loaded"):
            opa("shop", *command)


def test_connects_without_parentheses_is_refused(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        import typer
        from opa.commands import connects
        commands = typer.Typer()
        @commands.command()
        @connects
        def none(): ...
        """,
    )
    with pytest.raises(OpaError, match=r"connects takes names of components: write @connects\(\"aioredis\"\)"):
        project.prepare()


def test_a_plugin_that_is_skipped_says_why_its_command_does_not_run(project: Project) -> None:
    project.plugin("shop.py", "raise RuntimeError('closed')\n" + SHOP.replace("\n    ", "\n"))
    project.settings(PLUGIN_FAILURE="skip")

    with pytest.raises(OpaError, match="plugin 'shop', which has the command 'shop', is skipped: .*closed"):
        opa("shop")


def test_two_plugins_with_one_command_the_first_has_it(project: Project) -> None:
    for name in ("a", "b"):
        project.plugin(f"{name}.py", SHOP.replace("open", name))
        project.meta(f"{name}-meta.json", {"commands": {f"{name}-up": name, "runner": name}})

    assert in_help()["runner"] == "a"
    findings = [line for line in opa("check").output.splitlines() if "cannot be called" in line]
    assert len(findings) == 1
    assert "'runner' of plugin 'b' cannot be called: plugin 'a' has a command of that name" in findings[0]


def test_commands_that_are_no_application_are_told(project: Project) -> None:
    project.plugin("shop.py", "commands = ['open', 'close']")
    assert "'commands' of plugin 'shop' is a list, and no Typer application" in opa("check").output


def test_a_file_of_commands_that_cannot_be_read_is_told(project: Project) -> None:
    project.plugin("shop/__init__.py")
    (project.plugins / "shop/commands.py").symlink_to("nowhere")

    told = opa("check").output
    assert "plugin 'shop' has no command of its commands.py, since that is a link that leads nowhere" in told


def test_a_command_of_an_unknown_group_is_told(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.meta("shop-meta.json", {"commands": {"keys runner": "x", "tasks list": "y"}})

    told = opa("check").output
    assert "'keys runner' of plugin 'shop' cannot be called: there is no group 'keys' to which a plugin can add" in told
    assert "'tasks list' of plugin 'shop' cannot be called: opa-stack has a command of that name" in told


def test_sources_that_do_not_parse_do_not_hide_the_other_commands(project: Project) -> None:
    project.plugin("shop.py", SHOP)
    project.plugin("broken.py", "commands = typer.Typer(")
    project.plugin("deep.py", "commands = " + "(" * 5000)
    (project.plugins / "latin.py").write_bytes(b"commands = '\xe9'")

    assert in_help()["shop"] == "Look after the shop."


def test_opa_plugins_shows_the_commands_of_a_plugin(project: Project) -> None:
    project.plugin("shop.py", SHOP)

    assert "command opa shop" in printed("plugins", "shop")
    assert "command opa keys" in printed("plugins", "access_keys")


def test_the_callbacks_of_a_typer_application_are_called_as_its_commands_are(with_redis: Project) -> None:
    with_redis.plugin(
        "shop.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING, Annotated
        import typer
        from opa import Component
        if TYPE_CHECKING:
            from redis.asyncio import Redis
        async def before(door: str = "front", app: Redis = Component("aioredis")): print("before", door, bool(app))
        async def after(result: str, door: str, app: Annotated[Redis, Component("aioredis")]):
            print("after", result, door, bool(app))
        commands = typer.Typer(callback=before, result_callback=after)
        @commands.command()
        async def sell(): return "sold"
        pair = typer.Typer(result_callback=after)
        commands.add_typer(pair, name="pair", callback=before)
        @pair.command()
        def one(): return "one"
        """,
    )
    assert printed("shop", "--door", "b", "sell").splitlines() == ["before b True", "after sold b True"]
    assert printed("shop", "pair", "one").splitlines() == [
        "before front True",
        "before front True",
        "after one front True",
        "after None front True",
    ]


def test_an_application_may_show_its_help_instead_of_its_callback(project: Project) -> None:
    text = """
        import typer
        commands = typer.Typer(invoke_without_command=True, no_args_is_help={})
        @commands.callback()
        def serve(): print("serves")
        """
    project.plugin("quiet.py", text.format(True))
    project.plugin("busy.py", text.format(False))

    assert "Usage" in opa("quiet").output
    assert printed("busy") == "serves"


def test_connects_refuses_a_component_that_is_not_there(with_redis: Project) -> None:
    with_redis.plugin(
        "other.py",
        """
        import typer
        from opa.commands import connects
        commands = typer.Typer()
        @commands.command()
        @connects("aioredsi")
        def misspelt(): print("runs")
        @commands.command()
        @connects("mongodb")
        def off(): print("runs")
        """,
    )
    with pytest.raises(OpaError, match="component 'aioredsi' is not configured"):
        opa("other", "misspelt")
    with pytest.raises(OpaError, match="component 'mongodb' is not loaded"):
        opa("other", "off")


def test_many_blocks_may_have_a_component_at_once(with_redis: Project) -> None:
    with_redis.plugin(
        "other.py",
        """
        import asyncio, typer
        from opa import get_plugin_manager
        from opa.commands import connected, connects
        commands = typer.Typer()
        async def ping(number):
            async with connected("aioredis") as redis:
                for _ in range(number % 5):
                    await redis.ping()
                return redis
        async def pings():
            return await asyncio.gather(*map(ping, range(50)))
        @commands.command()
        @connects()
        async def borrowed():
            async with asyncio.timeout(20):
                print(len(set(map(id, await pings()))), *get_plugin_manager().optional_components)
                await asyncio.gather(*(asyncio.create_task(ping(number)) for number in range(5)))
                print(len(set(map(id, await pings()))), *get_plugin_manager().optional_components)
        @commands.command()
        async def whole():
            await pings()
            print(*sorted(get_plugin_manager().optional_components))
        """,
    )
    assert printed("other", "borrowed").splitlines() == ["1", "1"]
    assert "aioredis walrus" in printed("other", "whole").splitlines()


@pytest.fixture
def by_default() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("by_default")
def test_sigterm_stops_what_a_command_has_started(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        import asyncio, signal, time, typer
        commands = typer.Typer()
        def shutdown(): print("shutdown")
        @commands.command()
        async def waits():
            signal.raise_signal(signal.SIGTERM)
            try:
                await asyncio.sleep(60)
            finally:
                print("ended")
        @commands.command()
        def works():
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)
        """,
    )

    waits, works = opa("shop", "waits"), opa("shop", "works")
    assert (waits.exit_code, waits.stdout.split()) == (143, ["ended", "shutdown"])
    assert (works.exit_code, works.stdout.split()) == (143, ["shutdown"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.filterwarnings("error")
def test_a_command_in_an_event_loop_says_how_it_is_called_there(project: Project) -> None:
    project.plugin("shop.py", SHOP)

    async def in_loop() -> Result:
        with pytest.raises(OpaError, match=r"one runs in this thread already.*by asyncio\.to_thread"):
            opa("shop", "open-up")
        return await asyncio.to_thread(opa, "shop", "open-up")

    assert asyncio.run(in_loop()).stdout == "open front\n"


def test_the_name_of_the_program_may_stand_twice_since_an_image_calls_it_by_itself(project: Project) -> None:
    assert printed("opa", "keys", "list") == "no keys"
    assert (
        "No such command 'opa'" in opa("keys", "opa", "list").output + opa("opa").output + opa("opa", "--help").output
    )

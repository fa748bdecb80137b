from __future__ import annotations

import pytest

from tests.testing.suite import Suite

TESTS = """
    import pytest

    shop = pytest.mark.opa(plugins=["shop"])

    def test_broken(opa_client): ...

    @pytest.mark.opa(plugins=["shpo"])
    def test_unknown_plugin(opa_client): ...

    @pytest.mark.opa(plugin=["shop"])
    def test_unknown_argument(opa_client): ...

    @pytest.mark.opa(["shop"])
    def test_positional_argument(opa_client): ...

    @pytest.mark.opa(plugins="shop")
    def test_text_as_plugins(opa_client): ...

    @pytest.mark.opa(plugins=["shop"], tasks="eagre")
    def test_unknown_way_of_tasks(opa_client): ...

    @pytest.mark.opa(plugins=["shop"], components=["mongdb"])
    def test_unknown_component(opa_client): ...

    @shop
    def test_unknown_replaced(opa_component): opa_component("mongdb", 1)

    @shop
    def test_tasks_replaced(opa_component): opa_component("celery", 1)

    @pytest.mark.opa(plugins=["shop"], settings={"TRUSTED_HOSTS": 3})
    def test_wrong_setting(opa_client): ...

    @pytest.mark.opa(plugins=["shop"], settings={"PLUGIN_SETTINGS": {"shop": {"limt": 1}}})
    def test_wrong_setting_of_plugin(opa_client): ...

    @pytest.mark.opa(plugins=["late"])
    def test_does_not_start(opa_client): ...

    @pytest.mark.opa(plugins=["late"])
    @pytest.mark.anyio
    async def test_does_not_start_asynchronously(opa_async_client): ...

    @pytest.mark.opa(plugins=["sleepless"])
    def test_does_not_stop(opa_client): ...

    @pytest.mark.opa(plugins=["shop"], settings={"PLUGIN_BLACKLIST_RE": ".*shop"})
    def test_skipped_plugin(opa_client): ...

    @shop
    def test_component_that_is_off(opa_app): opa_app.component("mongodb")

    @shop
    def test_plugin_that_is_not_loaded(opa_app): opa_app.plugin("shpo")

    @shop
    def test_never_sent(opa_tasks): opa_tasks.assert_sent("shop.restock")

    @shop
    def test_sent_otherwise(opa_app, opa_tasks):
        opa_app.plugin("shop").restock.delay("tea")
        opa_tasks.assert_sent("shop.restock", "coffee")

    @shop
    def test_sent_after_all(opa_app, opa_tasks):
        opa_app.plugin("shop").restock.delay("tea")
        opa_tasks.assert_not_sent("shop.restock")

    @shop
    def test_unknown_task(opa_tasks): opa_tasks.fail("shop.restok", ValueError())

    @shop
    def test_unknown_schedule(opa_schedule): opa_schedule.send("nightly")

    @shop
    def test_no_moment(opa_schedule): opa_schedule.between("2031-03-03", "noon")
"""
SAID = {
    "test_broken": "plugin 'broken' does not import: SyntaxError",
    "test_unknown_plugin": "there is no plugin 'shpo', which the mark 'opa' names. Did you mean 'shop'?",
    "test_unknown_argument": "the mark 'opa' has no argument 'plugin'. Did you mean 'plugins'?",
    "test_positional_argument": "the mark 'opa' has ['shop'] without a name",
    "test_text_as_plugins": "Give a list of names",
    "test_unknown_way_of_tasks": "the mark 'opa' has 'eagre' as tasks. It is 'record', or 'eager'",
    "test_unknown_component": "there is no component 'mongdb' in OPTIONAL_COMPONENTS, which the mark 'opa' names",
    "test_unknown_replaced": "which opa_component names. Did you mean 'mongodb'?",
    "test_tasks_replaced": "Use opa_tasks",
    "test_wrong_setting": "TRUSTED_HOSTS: is 3, should be a list (the mark opa of the test)",
    "test_wrong_setting_of_plugin": "PLUGIN_SETTINGS.shop.limt: is not a setting of this plugin",
    "test_does_not_start": "raised ValueError: too late. Fix it",
    "test_does_not_start_asynchronously": "raised ValueError: too late. Fix it",
    "test_does_not_stop": "raised ValueError: not yet. Fix it",
    "test_skipped_plugin": "plugin 'shop', which the mark 'opa' names, is skipped: PLUGIN_BLACKLIST_RE",
    "test_component_that_is_off": "component 'mongodb' is not loaded: it is off in this test",
    "test_plugin_that_is_not_loaded": "no plugin 'shpo' is loaded in this test. Did you mean 'shop'?",
    "test_never_sent": "task shop.restock was not sent; no task was sent",
    "test_sent_otherwise": "shop.restock('coffee') was not sent; what was sent: shop.restock('tea')",
    "test_sent_after_all": "task shop.restock was sent; what was sent: shop.restock('tea')",
    "test_unknown_task": "there is no task 'shop.restok'. Did you mean 'shop.restock'?",
    "test_unknown_schedule": "there is no schedule 'nightly'. Entries: none",
    "test_no_moment": "'noon' is not a moment",
}
MOST_LINES = 15
"""With the lines of the test, and those that the log has meanwhile."""


def test_each_mistake_is_told_in_a_line_and_not_in_frames_of_pytest(suite: Suite) -> None:
    suite.write("plugins/broken.py", "def (:\n")
    suite.write("plugins/late.py", "def ready():\n    raise ValueError('too late')\n")
    suite.write("plugins/sleepless.py", "def shutdown():\n    raise ValueError('not yet')\n")
    suite.write("conftest.py", "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n")
    suite.write("tests/test_wrong.py", TESTS)
    run = suite.run(status=1)
    found = {test: run.about(test) for test in SAID}
    assert {test: said for test, said in found.items() if SAID[test] not in said} == {}
    assert {test: said for test, said in found.items() if "site-packages" in said or "opa/testing" in said} == {}
    assert {test: said for test, said in found.items() if len(said.splitlines()) > MOST_LINES} == {}


@pytest.mark.parametrize("named", ["", "backend"])
def test_a_test_outside_of_a_project_is_told_where_plugins_belong(suite: Suite, named: str) -> None:
    suite.plugins.rename(suite.folder / "elsewhere")
    (suite.folder / "backend").mkdir()
    suite.write("pytest.ini", f"[pytest]\nopa_project = {named}\n")
    suite.write("tests/test_lost.py", "def test_lost(opa_client): ...\n")
    said = suite.run(status=1).about("test_lost")
    assert f"there are no plugins: {suite.folder / named / 'plugins'} is not there. Run pytest in the folder" in said


def test_the_project_may_be_a_folder_inside(suite: Suite) -> None:
    (suite.folder / "backend").mkdir()
    suite.plugins.rename(suite.folder / "backend" / "plugins")
    suite.write("pytest.ini", "[pytest]\nopa_project = backend\n")
    suite.write(
        "tests/test_found.py", "def test_found(opa_client):\n    assert opa_client.get('/limit').json() == 10\n"
    )
    suite.run()

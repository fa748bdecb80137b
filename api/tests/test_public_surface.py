"""The public surface does not grow or shrink by accident, and all of it has a documentation entry."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import opa
from opa import admin, commands, events, introspection, jwt, mongodb_clients, redis_clients, testing
from opa.cli.commands import app
from opa.core import plugin as original
from opa.loading.plugin_commands import OWN_COMMANDS, OWN_GROUPS
from tests.project import Project

ROOT = Path(__file__).parents[2]
DOCS = "\n".join(page.read_text() for page in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_opa_has_exactly_its_public_names() -> None:
    assert sorted(opa.__all__) == [
        "Actor",
        "BaseMiddleware",
        "Breaker",
        "CeleryDriver",
        "Component",
        "ComponentObserver",
        "ComponentUnavailableError",
        "ConsoleCard",
        "ConsolePage",
        "Convention",
        "DeadLetter",
        "DeadLetterPage",
        "DeadLetters",
        "Driver",
        "Event",
        "Framework",
        "Hook",
        "HookDefinition",
        "MissedRun",
        "OpaError",
        "PluginManager",
        "PluginSettings",
        "PoolUse",
        "RateLimit",
        "RefusedCredentialError",
        "RequestObserver",
        "Requires",
        "ScheduleState",
        "Schedules",
        "Schema",
        "Setup",
        "Signed",
        "TaskLimit",
        "TaskObserver",
        "TaskResult",
        "TaskRun",
        "TaskTooLargeError",
        "WebhookAnswer",
        "after_response",
        "at_fork",
        "attempt",
        "audit",
        "call_hook",
        "call_hook_async",
        "config",
        "credential_counts",
        "emit",
        "emit_sync",
        "event_loop_blocks",
        "get_actor",
        "get_component",
        "get_instance",
        "get_plugin_manager",
        "get_plugins",
        "get_request_id",
        "get_router",
        "get_util",
        "is_development",
        "is_from_own_page",
        "is_own_host",
        "is_stopping",
        "lazy_errors",
        "limits",
        "log",
        "mask_text",
        "nearest",
        "on",
        "post_webhook",
        "queue_lengths",
        "register",
        "requests_in_flight",
        "run_group",
        "run_group_async",
        "started_application",
        "state",
        "static_url",
        "task",
        "tasks_in_hand",
        "waiting_for",
    ]


@pytest.mark.parametrize(
    ("module", "where"),
    [
        (mongodb_clients, "components.md"),
        (redis_clients, "components.md"),
        (jwt, "access.md"),
        (events, "events.md"),
        (admin, "admin.md"),
        (introspection, "plugins.md"),
        (commands, "commands.md"),
        (testing, "testing.md"),
    ],
)
def test_each_public_name_for_drivers_and_tokens_is_documented(module: Any, where: str) -> None:
    page = (ROOT / "docs" / where).read_text()
    assert f"from `{module.__name__}`" in page
    missing = [name for name in module.__all__ if not re.search(rf"\b{name}\b", page)]
    assert missing == [], f"docs/{where} does not mention these"


@pytest.mark.parametrize("name", opa.__all__)
def test_each_name_is_there_and_documented(name: str) -> None:
    assert getattr(opa, name) is not None
    assert re.search(rf"\b{name}\b", DOCS), f"{name} stands in no page of docs/"


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = opa.nothing


@pytest.mark.parametrize("name", original.__all__)
def test_the_names_of_the_original_module_are_those_of_opa(name: str) -> None:
    if name in opa.__all__:
        assert getattr(original, name) is getattr(opa, name)


def test_the_commands_of_opa_are_those_that_no_plugin_can_replace() -> None:
    """A new one belongs in `OWN_COMMANDS`, and in the table of README.md."""
    assert sorted(OWN_COMMANDS) == sorted(COMMANDS)
    groups = {name: sorted(group.commands) for name, group in COMMANDS.items() if hasattr(group, "commands")}
    assert groups == {name: sorted(commands) for name, commands in OWN_GROUPS.items()}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_has_a_help_text_and_is_documented(name: str) -> None:
    assert COMMANDS[name].help
    assert f"`opa {name}" in DOCS, f"`opa {name}` stands neither in README.md nor on a page of docs/"


def test_each_hook_of_a_built_in_plugin_is_documented(project: Project) -> None:
    page = (ROOT / "docs" / "hooks.md").read_text()
    missing = [name for name in project.prepare().hook_definitions if f"`{name}`" not in page]
    assert missing == [], "docs/hooks.md does not mention these"


@pytest.mark.parametrize("name", ["router", "middleware", "exception_handlers"])
def test_each_convention_of_a_plugin_module_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "plugins.md").read_text()

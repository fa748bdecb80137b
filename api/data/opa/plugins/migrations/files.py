"""The files in `migrations/` of plugins: which there are, and what each says, before any of them is run."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from opa import OpaError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from opa import PluginManager

DEFAULT_COMPONENT = "sql"
_NAME = re.compile(r"(\d{1,9})_[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Migration:
    """One file.

    Attributes:
        plugin: the name of its plugin.
        package: the module that the plugin is.
        name: that of the file, without `.py`.
        number: that with which the name begins.
        component: the one that it changes, in lower case.
        is_transactional: whether a SQL database does all of it in one transaction.
        can_undo: whether it has a `downgrade`.
        file: where it is.
        source: what stands in it.
    """

    plugin: str
    package: str
    name: str
    number: int
    component: str
    is_transactional: bool
    can_undo: bool
    file: Path | Traversable
    source: str

    def __str__(self) -> str:
        return f"{self.plugin}/{self.name}"


def all_migrations(manager: PluginManager, folders: Mapping[str, Path | Traversable]) -> list[Migration]:
    """Those of all loaded plugins, in the order in which they run.

    Args:
        manager: of which the modules of plugins are known.
        folders: `migrations/` of each plugin that has it, in load order: those that a plugin requires come before it.

    Raises:
        OpaError: a file in there is not a migration, or is broken.
    """
    modules = {found.plugin.name: found.plugin.file.module for found in manager.registry.objects}
    return [each for plugin, folder in folders.items() for each in migrations_in(plugin, modules[plugin], folder)]


def migrations_in(plugin: str, package: str, folder: Path | Traversable) -> list[Migration]:
    """Those of one plugin, by their numbers.

    Raises:
        OpaError: as above.
    """
    found = sorted(_read(plugin, package, folder), key=lambda each: (each.number, each.name))
    for first, second in pairwise(found):
        if first.number == second.number:
            raise OpaError(
                f"two migrations of plugin '{plugin}' have the number {first.number}: {first.name} and {second.name}",
                where=str(second.file),
                hint="Rename the one that has run nowhere yet",
            )
    return found


def _read(plugin: str, package: str, folder: Path | Traversable) -> Iterator[Migration]:
    for file in folder.iterdir():
        stem, dot, suffix = file.name.rpartition(".")
        if suffix != "py" or not dot or stem.startswith(("_", ".")):
            continue
        if not file.is_file():
            is_link = isinstance(file, Path) and file.is_symlink()
            raise OpaError(
                f"{file.name!r} in migrations/ of plugin '{plugin}' is"
                f" {'a link that leads nowhere' if is_link else 'not a regular file'}",
                where=str(file),
                hint="Put the file itself there, or remove this",
            )
        match = _NAME.fullmatch(stem)
        if match is None:
            raise OpaError(
                f"{file.name!r} in migrations/ of plugin '{plugin}' is not the name of a migration",
                where=str(file),
                hint="Name it like 0001_create_items.py; a module that migrations import begins with _",
            )
        yield _parsed(plugin, package, stem, int(match[1]), file)


def _parsed(plugin: str, package: str, name: str, number: int, file: Path | Traversable) -> Migration:
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(file))
    except SyntaxError as error:
        raise _broken(plugin, name, f"has a syntax error: {error.msg}", f"{file}:{error.lineno or 1}") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise _broken(plugin, name, f"cannot be read: {error}", f"{file}:1") from error
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    if "upgrade" not in functions:
        raise _broken(
            plugin, name, "has no function upgrade", f"{file}:1", "Write def upgrade(), which makes the change"
        )
    said = {"component": DEFAULT_COMPONENT, "transaction": True}
    for key, line, value in _assigned(tree, said):
        if type(value) is not type(said[key]) or value == "":
            example = '"mongodb"' if key == "component" else "False"
            raise _broken(
                *(plugin, name, f"has a '{key}' that is not plain", f"{file}:{line}"),
                f"It is read before the file is run: write {key} = {example}, say",
            )
        said[key] = value
    component, is_transactional = str(said["component"]).lower(), bool(said["transaction"])
    return Migration(
        *(plugin, package, name, number, component, is_transactional, "downgrade" in functions, file, source)
    )


def _assigned(tree: ast.Module, names: Collection[str]) -> Iterator[tuple[str, int, object]]:
    """What the source gives to `names` at its top, each with its line; None where that is not a constant."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and target.id in names:
                    yield target.id, node.lineno, value


def _broken(plugin: str, name: str, problem: str, where: str, hint: str = "Fix the file") -> OpaError:
    return OpaError(f"the migration {name} of plugin '{plugin}' {problem}", where=where, hint=hint)


def function_of(migration: Migration, name: str, *, parameters: int) -> Callable[..., Any]:
    """`upgrade` or `downgrade` of a migration, whose file is run for that.

    Args:
        migration: has it.
        name: of the function.
        parameters: how many it has to have.

    Raises:
        OpaError: the file cannot be run, or the function is none of that kind.
    """
    module = ModuleType(f"{migration.package}.migrations.{migration.name}")
    module.__file__ = str(migration.file)
    module.__package__ = f"{migration.package}.migrations"
    try:
        exec(compile(migration.source, str(migration.file), "exec"), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:
        problem = f"cannot be imported: {type(error).__name__}: {error}"
        raise _broken(migration.plugin, migration.name, problem, line_of(migration, error)) from error
    function: Any = getattr(module, name, None)
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 1)
    try:
        inspect.signature(function).bind(*[None] * parameters)
    except TypeError:
        takes = "no argument: it works with alembic.op" if not parameters else "the instance of its component"
        raise _broken(
            *(
                migration.plugin,
                migration.name,
                f"has a function {name} that cannot be called",
                f"{migration.file}:{line}",
            ),
            f"For the component '{migration.component}' it takes {takes}",
        ) from None
    if inspect.iscoroutinefunction(inspect.unwrap(function)) and not parameters:
        raise _broken(
            *(migration.plugin, migration.name, f"has an async def {name}", f"{migration.file}:{line}"),
            "In a migration of a SQL database it is def, with sql as with sql_sync",
        )
    return _without_exit(function)


def _without_exit(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose `sys.exit` is an error: with status 0 the command would seem to have done all."""

    def refused(error: SystemExit) -> RuntimeError:
        return RuntimeError(f"it has called sys.exit({error.code!r})").with_traceback(error.__traceback__)

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except SystemExit as error:
            raise refused(error) from None

    @functools.wraps(function)
    async def awaited(*arguments: Any) -> Any:
        try:
            return await function(*arguments)
        except SystemExit as error:
            raise refused(error) from None

    return awaited if inspect.iscoroutinefunction(function) else called


def line_of(migration: Migration, error: BaseException) -> str:
    """The deepest line of a migration that an error has come through."""
    line, trace = 1, error.__traceback__
    if isinstance(error, SyntaxError) and error.filename == str(migration.file):
        line = error.lineno or 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(migration.file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{migration.file}:{line}"

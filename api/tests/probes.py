"""Which lines and branches of the package the tests run, in all processes, at next to no cost.

A trace function, as coverage.py has one, slows all that Python runs, libraries as well. Here the modules of the package
are compiled with a probe before each statement, which sets a byte of a file that is mapped into memory: what a process
has run is known however it ends. The bytecode lies in `__pycache__`, where each process finds it, whoever starts it and
with whatever environment. What the bytes say is handed to coverage.py, which knows what counts, and reports.
"""

from __future__ import annotations

import ast
import fcntl
import importlib.util
import itertools
import marshal
from collections import defaultdict
from pathlib import Path
from types import CodeType
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from coverage import Coverage

API = Path(__file__).parents[1]
PACKAGE = API / "data" / "opa"
DATA = API.parent / ".coverage"

SIZE = 1 << 20
"""Probes at most; what is not used of the file takes no space."""

# At the start of each module, since some run outside of the package. The mapping has no file descriptor, whose number a
# program may expect to be free. It is never given back, or that number would be closed once more.
START = """
try:
    __probes__
except NameError:
    exec({connect!r}, {{}})
"""
CONNECT = """
import builtins, mmap, os
try:
    opened = os.open({path!r}, os.O_RDWR)
    duplicate = os.dup(opened)
    os.close(duplicate)
    builtins.__probes__ = mmap.mmap(opened, {size})
    os.close(duplicate)
    os.close(opened)
except OSError:
    builtins.__probes__ = {{}}
"""


class Branch:
    """Two ways from one line, and the probes that say that one was taken, or the other.

    One difference to a trace function: an `if` in a `finally` was passed also where an exception went on behind it.
    """

    def __init__(self, line: int, body: list[ast.stmt]) -> None:
        self.line = line
        self.inside = range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1)
        self.taken: list[int] = []
        self.passed: list[int] = []


class Module:
    """A module with a probe before each statement, and on each way from a branch that has no statement."""

    def __init__(self, path: Path, first: int, start: str) -> None:
        self.path = path
        self.source = path.read_text()
        self.next = first
        self.lines: dict[int, set[int]] = {}
        self.branches: list[Branch] = []
        tree = ast.parse(self.source)
        top = list(itertools.takewhile(_is_at_the_top, tree.body))
        self.lines[first] = {statement.lineno for statement in top}
        tree.body = [*top, *ast.parse(start).body, self._probe(tree), *self._with_probes(tree.body[len(top) :])]
        self._write(compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True))

    def _probe(self, node: ast.AST) -> ast.stmt:
        statement = ast.parse(f"__probes__[{self.next}] = 1").body[0]
        for each in ast.walk(statement):
            ast.copy_location(each, node)
        self.next += 1
        return statement

    def _add(self, node: ast.AST) -> None:
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and statements:
                setattr(node, name, self._with_probes(statements))
        for handler in getattr(node, "handlers", ()):
            self.lines[self.next] = {handler.lineno}
            self._add(handler)

    def _with_probes(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in statements:
            if _is_text(statement) and not result:  # a docstring, which has to be the first
                result.append(statement)
                continue
            self.lines.setdefault(self.next, set()).update(_lines_of(statement))
            result += [self._probe(statement), statement]
            match statement:
                case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
                    self._add_ways(statement)
                case ast.Match():
                    self._add_cases(statement)
                case _:
                    self._add(statement)
        return result

    def _add_ways(self, statement: ast.If | ast.For | ast.AsyncFor | ast.While) -> None:
        branch = Branch(statement.lineno, statement.body)
        branch.taken.append(self.next)
        statement.body = self._with_probes(statement.body)
        branch.passed.append(self.next)
        statement.orelse = self._with_probes(statement.orelse) or [self._probe(statement)]
        self.branches.append(branch)

    def _add_cases(self, statement: ast.Match) -> None:
        branches: list[Branch] = []
        for case in statement.cases:
            for earlier in branches:
                earlier.passed.append(self.next)
            branches.append(Branch(case.pattern.lineno, case.body))
            branches[-1].taken.append(self.next)
            self.lines[self.next] = {case.pattern.lineno}
            case.body = self._with_probes(case.body)
        if not _takes_all(statement.cases[-1]):
            for earlier in branches:
                earlier.passed.append(self.next)
            self.lines[self.next] = {branch.line for branch in branches}
            nothing = ast.copy_location(ast.MatchAs(), statement.cases[-1].pattern)
            statement.cases.append(ast.match_case(nothing, None, [self._probe(statement)]))
        self.branches += branches

    def _write(self, code: CodeType) -> None:
        """Write the bytecode to where Python looks for it."""
        source = self.path.stat()
        numbers = (0, int(source.st_mtime), source.st_size)
        header = importlib.util.MAGIC_NUMBER + b"".join((each & 0xFFFFFFFF).to_bytes(4, "little") for each in numbers)
        target = _bytecode(self.path)
        target.parent.mkdir(exist_ok=True)
        new = target.with_suffix(".new")
        new.write_bytes(header + marshal.dumps(code))
        new.replace(target)

    def arcs(self, run: bytes) -> set[tuple[int, int]]:
        """What ran, as coverage.py has it: from which line to which; from a line to itself says that it ran."""
        from coverage.parser import PythonParser  # only a run that measures needs it

        arcs = {(line, line) for probe, lines in self.lines.items() if run[probe] for line in lines}
        parser = PythonParser(text=self.source)  # what was compiled, also where it is being changed
        parser.parse_source()
        ways = defaultdict(set)
        for line, to in parser.arcs():
            ways[line].add(to)
        for branch in self.branches:
            line = parser.first_line(branch.line)
            for to in ways[line]:
                if any(run[probe] for probe in (branch.taken if to in branch.inside else branch.passed)):
                    arcs.add((line, to))
        return arcs


def _is_at_the_top(statement: ast.stmt) -> bool:
    return _is_text(statement) or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)


def _lines_of(statement: ast.stmt) -> set[int]:
    return {statement.lineno, *(decorator.lineno for decorator in getattr(statement, "decorator_list", ()))}


def _takes_all(case: ast.match_case) -> bool:
    return case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None


def _bytecode(path: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(path)))


class Measurement:
    """The modules of a package, compiled with probes, and the file of bytes that says what of them ran."""

    def __init__(self, package: Path, run: IO[bytes]) -> None:
        self.package = package
        self._run = run
        run.truncate(SIZE)
        self._modules: list[Module] = []
        probes = 0
        start = START.format(connect=CONNECT.format(path=run.name, size=SIZE))
        for path in sorted(package.rglob("*.py")):
            self._modules.append(Module(path, probes, start))
            probes = self._modules[-1].next
        assert probes <= SIZE

    @classmethod
    def begin(cls, package: Path = PACKAGE) -> Self | None:
        """Compile the package with probes, or give None where another run measures it."""
        if not remove_stale(package):
            return None
        run = _file(package).open("xb")
        fcntl.flock(run, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _file(package).chmod(0o666)  # tests run programs as other users
        return cls(package, run)

    def save(self, data: Path = DATA) -> None:
        """Write for coverage.py what ran until now."""
        run = _file(self.package).read_bytes()
        data.unlink(missing_ok=True)
        written = coverage_of(data).get_data()
        arcs = {str(module.path): module.arcs(run) for module in self._modules}
        written.add_arcs(arcs)
        written.touch_files(arcs)  # also those of which nothing ran
        written.write()

    def end(self) -> None:
        """Take the bytecode with probes away."""
        _remove(self.package)
        self._run.close()


def remove_stale(package: Path = PACKAGE) -> bool:
    """Remove what a run has left that was killed; says whether no run measures the package now."""
    try:
        with _file(package).open("rb") as run:
            fcntl.flock(run, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    _remove(package)
    return True


def _remove(package: Path) -> None:
    for path in package.rglob("*.py"):
        _bytecode(path).unlink(missing_ok=True)
    _file(package).unlink()


def _file(package: Path) -> Path:
    return package.parent / ".coverage.probes"


def coverage_of(data: Path) -> Coverage:
    """What coverage.py makes of a file of its data, with the settings of the tests."""
    from coverage import Coverage

    return Coverage(data_file=data, config_file=str(API / "pyproject.toml"))

"""Find an installed module, and tell one that is not there from one whose package does not import."""

from __future__ import annotations

import importlib
import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

from opa._util.watchdog import TimeLimitError, time_limit
from opa.errors import OpaError
from opa.loading.import_errors import deepest_line_in, import_hint, summary


class BrokenPackageError(OpaError):
    """The package of a module is there, and does not import; the cause is chained. `file` is where it starts."""

    def __init__(self, problem: str, *, where: str, hint: str, file: Path) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.file = file


def find_module(name: str, limit: float) -> ModuleSpec | None:
    """Where the module `name` is; nothing where it is not installed. The packages that it is in are imported.

    Args:
        name: dotted.
        limit: seconds that the import may take.

    Raises:
        BrokenPackageError: one of the packages does not import, or takes longer.
    """
    package = name.rpartition(".")[0]
    try:
        if package:
            with time_limit(limit):
                importlib.import_module(package)
    except TimeLimitError as error:
        raise _broken(package, f"takes longer than {limit:g} s to import", error) from error
    except ModuleNotFoundError as error:
        if error.name and f"{package}.".startswith(f"{error.name}."):
            return None
        raise _broken(package, f"does not import: {summary(error)}", error) from error
    except (TypeError, ValueError) as error:
        if name.startswith("."):  # which is no name of a module
            return None
        raise _broken(package, f"does not import: {summary(error)}", error) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a package may raise anything
        raise _broken(package, f"does not import: {summary(error)}", error) from error
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, TypeError, AttributeError):  # its package is a module, it is `__main__`, and so on
        return None


def _broken(package: str, problem: str, error: BaseException) -> BrokenPackageError:
    top = importlib.util.find_spec(package.partition(".")[0])
    folders = [Path(folder) for folder in (top.submodule_search_locations or ()) if top] if top else []
    file = Path(top.origin) if top and top.origin else Path(package)
    where = deepest_line_in([*folders, file], error) or f"{file}:1"
    return BrokenPackageError(f"package '{package}' {problem}", where=where, hint=import_hint(error, file), file=file)

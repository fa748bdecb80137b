"""Every error that opa-stack raises on purpose.

All of them are `OpaError`; `str(error)` is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from opa._util.masking.hidden import mask_hidden
from opa._util.masking.secrets import mask_text


class OpaError(Exception):
    """A mistake that a user can fix.

    Args:
        problem: what is wrong, naming the plugin, component or setting, without a full stop.
        where: file, `file:line` or the name of a settings source.
        hint: what to do about it, one sentence.
    """

    def __init__(self, problem: str, *, where: str | None = None, hint: str | None = None) -> None:
        # It quotes what a plugin or a server has said, and is shown in logs, in answers and on terminals.
        problem = mask_text(problem)
        super().__init__(problem)
        self.problem = problem
        self.where = where and mask_hidden(where)
        self.hint = hint and mask_hidden(hint)

    def __str__(self) -> str:
        line = f"{self.problem} ({self.where})" if self.where else self.problem
        if self.hint:
            line = f"{line}. {self.hint}"
        return " ".join(line.split())

    @property
    def each(self) -> tuple[OpaError, ...]:
        """The mistakes that it is, of which each is told by itself."""
        return (self,)


class OpenDoorError(OpaError):
    """What lets strangers in, and is no mistake with `ENV=dev`; `id` is its name in CHECK_SILENCED."""

    def __init__(self, problem: str, *, id_: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.id = id_


class OpenDoorsError(OpaError):
    """All that keeps a deployment from starting because it lets strangers in."""

    def __init__(self, doors: tuple[OpenDoorError, ...]) -> None:
        super().__init__("; ".join(map(str, doors)))
        self.doors = doors

    @property
    def each(self) -> tuple[OpaError, ...]:
        """One for each of them."""
        return self.doors


class SettingsError(OpaError):
    """A settings file does not parse, or settings have wrong values; `mistakes` has one line for each."""

    def __init__(
        self,
        problem: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        mistakes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.mistakes = tuple(map(mask_text, mistakes))


class MissingSettingError(OpaError, AttributeError, KeyError):
    """An unknown setting was asked for."""


class PluginPathError(OpaError):
    """A plugin path is not there, or is no folder."""


class PluginError(OpaError):
    """Something is wrong with one plugin; `plugin` is its name, where it is known."""

    def __init__(
        self, problem: str, *, plugin: str | None = None, where: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.plugin = plugin


class MetadataError(PluginError):
    """A plugin's metadata file does not parse or has the wrong shape."""


class FilterError(OpaError):
    """A plugin filter in the settings cannot be used, such as a regular expression that does not compile."""


class RequirementError(PluginError):
    """A plugin requires a missing plugin, version or package; or itself, in a circle."""


class MissingPackagesError(OpaError):
    """Several plugins need packages that are not installed: `each` has one for each plugin, and itself at the end."""

    def __init__(self, plugins: tuple[RequirementError, ...], problem: str, *, hint: str) -> None:
        super().__init__(problem, hint=hint)
        self.plugins = plugins

    @property
    def each(self) -> tuple[OpaError, ...]:
        """What each plugin misses, and the command that installs all of it."""
        return (*self.plugins, OpaError(self.problem, hint=self.hint))

    def __str__(self) -> str:
        return "; ".join([*map(str, self.plugins), super().__str__()])


class PackagesError(OpaError):
    """The packages that plugins need cannot be resolved or installed."""


class PluginImportError(PluginError):
    """A plugin cannot be imported; the cause is chained."""


class RegistrationError(PluginError):
    """What a plugin defines does not fit: a hook without a definition, a name used twice, and so on."""


class LifecycleError(PluginError):
    """`ready`, `startup` or `shutdown` of a plugin raised, took too long or cannot be called; the cause is chained."""


class GroupError(PluginError):
    """A URI in a group leads to nothing, or its object cannot be configured; `mistakes` has a line for each."""

    def __init__(
        self,
        problem: str,
        *,
        plugin: str | None = None,
        where: str | None = None,
        hint: str | None = None,
        mistakes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(problem, plugin=plugin, where=where, hint=hint)
        self.mistakes = tuple(map(mask_text, mistakes))


class HookCallError(OpaError, KeyError):
    """`call_hook` or `call_hook_async` was called with a name or in a way that the hook does not have."""


class SetupError(PluginError):
    """A `Setup` class asks for something unknown, or raised; the cause is chained."""


class ComponentError(OpaError):
    """Something is wrong with an optional component; `component` is its name."""

    def __init__(self, problem: str, *, component: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.component = component


class ComponentUnavailableError(ComponentError, KeyError):
    """The component is not there (not configured, not loaded, not connected); a route answers 503."""


class ComponentUseError(OpaError):
    """A component is asked for where what it gives cannot be used, such as an asynchronous session in a `def`."""


class ComponentConnectError(ComponentError):
    """The component had to connect and did not; the last cause is chained."""


class RefusedCredentialError(OpaError):
    """An authenticator raises it: there is a credential of its kind, and it is wrong, expired or revoked.

    The caller is answered 401, whatever it says; its text is for the log, and must not have the credential in it.

    Args:
        problem: why.
        subject: whose credential it claims to be, such as the id of a key, whether there is one or not. Wrong ones of
            one subject then count together, and once for the address. Only for secrets that nobody can guess.
        is_guess: False where it was a good one before, such as one that has expired: it does not count as wrong then.
    """

    def __init__(
        self,
        problem: str,
        *,
        subject: str = "",
        is_guess: bool = True,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(problem, where=where, hint=hint)
        self.subject = subject
        self.is_guess = is_guess


class NotRunningError(OpaError):
    """Something needs the running plugin manager, and no process has made one yet."""


class StartError(OpaError):
    """A process cannot be started as asked: unknown mode, missing program, port in use."""


class ProjectError(OpaError):
    """`opa new` cannot make, extend or update a project: a name that cannot be used, a file that is in the way."""


class TaskArgumentError(OpaError, TypeError):
    """A task was sent with an argument that would not arrive as it is, or got one that its annotation does not read."""


class TaskTooLargeError(TaskArgumentError):
    """A task was sent with more than TASK_MAX_BYTES, or nested deeper than TASK_MAX_DEPTH; a route answers 413."""


class TaskResultError(OpaError):
    """The result of a task was asked for, and results are not kept."""

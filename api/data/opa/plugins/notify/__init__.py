"""Messages about failures, to the targets in the setting NOTIFY: chat, webhooks and e-mail."""

from opa import config

# Without a target, nothing more is imported.
if config.NOTIFY:
    from importlib.util import find_spec

    from opa import OpaError, register
    from opa.plugins.notify.notifier import Notifier, Watching

    if any(target["TYPE"] == "mail" for target in config.NOTIFY.values()) and find_spec("aiosmtplib") is None:
        raise OpaError(
            "a target of NOTIFY with TYPE mail needs the package aiosmtplib, which is not installed",
            hint="Install it: pip install 'opa-stack[mail]'",
        )

    _notifier = Notifier()
    register("on_task_failed", uri=f"{__name__}.failed")(_notifier.failed)
    register("on_task_dead", uri=f"{__name__}.dead")(_notifier.dead)
    register("on_schedule_missed", uri=f"{__name__}.missed")(_notifier.missed)
    register("task_observers", uri=__name__)(Watching(_notifier))

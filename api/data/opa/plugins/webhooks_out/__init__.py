"""Posts events to others, as the setting WEBHOOKS_OUT says, signed as Standard Webhooks has it."""

from opa import config

# Without a webhook, nothing more is imported.
if config.WEBHOOKS_OUT:
    from importlib.util import find_spec

    from opa import OpaError
    from opa.plugins.webhooks_out.delivery import deliver_to

    if find_spec("standardwebhooks") is None:
        raise OpaError(
            "WEBHOOKS_OUT needs the package standardwebhooks, which is not installed",
            hint="Install it: pip install 'opa-stack[webhooks]'",
        )

    for _name, _options in config.WEBHOOKS_OUT.items():
        deliver_to(_name, _options)

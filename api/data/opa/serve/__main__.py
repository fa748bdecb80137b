"""`python -m opa.serve`."""

import signal

# Ctrl-C is an end and not a stack trace, while this is imported and while the plugins are; later the server handles it.
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the parent may have blocked it until now

from opa.serve.single import main  # noqa: E402 - after the handler

main()

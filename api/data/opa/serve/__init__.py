"""What `opa start` runs, a module for each idea.

mode: what MODE says; api, worker, beat and flower: each of the modes. gunicorn: several processes that serve, for
production. development: what RELOAD and DEBUGPY make of a mode; single: the one process that it is then, and command:
how that is started. reload: a supervisor that starts it again when a file changes, or when it has ended; watch is what
it needs for that. debugger lets one attach; debug_gate keeps web pages away.
"""

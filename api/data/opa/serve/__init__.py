"""What `opa start` runs, a module for each idea.

mode: what MODE says; api, worker, beat and flower: each of the modes. gunicorn: several processes that serve, for
production; openapi_early: one more that describes the routes. development: what RELOAD and DEBUGPY make of a mode;
single: the one process that it is then. reload: a supervisor that starts `single` again when a file changes, or when it
has ended; watch and orphans are what it needs for that. debugger lets one attach; debug_gate keeps web pages away.
"""

"""What `opa start` runs, a module for each idea.

mode: what MODE says. api: which kind of server the settings ask for. gunicorn: several worker processes, for
production. single: one process, for development. reload: a supervisor that starts `single` again when a file
changes; watch and orphans are what it needs for that.
"""

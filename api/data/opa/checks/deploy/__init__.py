"""`opa check --deploy`: what is all right in development, and unsafe where others reach it.

Each kind of finding has a module; `table` lists them all.
"""

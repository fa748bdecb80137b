"""The life of a process, a module for each step, in this order:

settings, discover, metadata, filters, importing, register, manager, app, components, setups, lifespan.

Everything up to `app` needs no network and no event loop. Everything from `components` on happens in each
serving process.
"""

"""What plugins are made of, and what they run in; `docs/architecture.md` has the rooms around it.

- hooks (hook_signature), drivers (breaker, blame), groups, setups, lifecycle (arguments, depends), routers,
  plugin_settings: what a plugin may define
- register (uses): what all plugins define is collected and checked
- component_states (component_options): the components of the settings, and what is known of each
- manager: what was loaded; up to here there is no network and no event loop
- components: they are connected; lifespan runs that in each serving process, then setups and the lifecycle, and undoes
  it in reverse

`running` is the way for plugins to the application that they run in, and the only global state.
"""

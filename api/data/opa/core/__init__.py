"""The life of a process, a module for each step, in the order in which they happen.

- settings (settings_files, settings_sources, settings_merge, settings_check): read, merged and checked
- discover, installed, metadata: plugins are found in folders and among installed packages, without importing them
- filters, policy, order, roster: which of them are in, in which order, and what to do where one is broken
- importing (second_names, watchdog): they are imported, each once, whatever its names
- register, groups (uris), plugin_settings: what they define is collected and checked
- manager: what was loaded; prepare runs the steps up to here
- app (middleware, processors, telemetry): the application is built
- indexed_router (route_index, route_shape, route_list, included_routes): it finds the route of a request
- openapi (openapi_document, openapi_state, openapi_keeper, openapi_answer): its description is made and kept

Up to here there is no network and no event loop; `opa check` does as much, and then `opa.checks` looks for mistakes
that stop nothing. What follows happens in each serving process, and is undone in reverse: lifespan runs it.

- components (drivers, hosts): they are connected
- setups, lifecycle (arguments, depends): plugins are set up, and get ready

`running` is the way for plugins to the application that they run in, and the only global state;
`framework` shows the same to programs that were written for SPOC.
"""

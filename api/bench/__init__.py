"""What opa-stack costs, beside what it is made of. Run it with `make bench`.

bare, bare_many, bare_tasks and the folders of plugins: the applications that are measured. many: writes any number of
plugins. servers: each application under the same server and settings. load: a client. asgi: requests without a server.
fresh: a measurement in a process of its own.

compare: the hello route, also with metrics. protocol: what its limits cost. startup, memory, growth: many plugins.
routes: one among many. openapi: the description of many. calls: hooks and settings. log_lines: what the masking of
secrets costs. components: a start with slow ones. tasks, task_sender: no-op tasks. suite: tests of plugins. model:
what a plugin costs at the start, beyond importing it. profile: whose code runs.

parts: how large each measurement is, and the rows that come out. goals: what is to be reached. report, plot: the page
and its plots. machine: what it was measured on.
"""

"""What a request costs in the stack, beside a bare FastAPI application. Run it with `make bench`.

bare, plugins/hello: the two applications. servers: both under the same server and settings. load: the client.
compare: rounds, taken in turns, and what they show. report: the table and the file. model: what plugins cost at the
start. tasks: no-op tasks a second, of task_plugins/noop and of bare_tasks, which task_sender sends. calls: a hook and
a setting, of call_plugins/answer. components: a start with those of component_plugins/slow.
"""

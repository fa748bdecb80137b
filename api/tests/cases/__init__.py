"""What others stumbled over in programs of this kind, each tried as a user would: in an empty folder, by `opa`.

`python -m tests.cases`, in `api/`, runs all of them one after another, and prints one line a case;
`python -m tests.cases B1 B7` runs these. `make test` runs them as well.

A module here is a kind of mistake. It says in a line what the kind is, and has its cases, each a function::

    @case("B1", "A route called `shutdown` is not run when the process ends")
    def a_route_called_shutdown(place: Place) -> None:
        place.plugin("machines.py", "…")
        assert place.run("check").returncode == 0

A case ends right, or raises an `AssertionError` that says what was seen.
"""

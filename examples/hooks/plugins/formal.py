"""Fills the hook that greeter.py defines. Neither of the two files imports the other."""

from opa import Hook


class FormalFullName(Hook):
    name = "fullname"

    def run(self, firstname: str, surname: str) -> str:
        return f"{surname}, {firstname}"

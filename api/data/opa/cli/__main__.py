"""`python -m opa.cli`."""

from opa.cli import main

main()

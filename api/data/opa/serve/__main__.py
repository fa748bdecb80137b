"""`python -m opa.serve`."""

from opa.serve.single import main

main()

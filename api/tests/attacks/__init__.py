"""Attacks on opa-stack that have found something once, to be run again by hand: see the README beside this."""

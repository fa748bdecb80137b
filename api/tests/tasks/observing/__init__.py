"""Tests of `opa.tasks.observing`."""

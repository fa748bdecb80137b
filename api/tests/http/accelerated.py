"""What holds with the versions of FastAPI alone with which the index over the routes was tested."""

import inspect

import pytest
from fastapi import APIRouter

from opa._compat.fastapi import tested

accelerated = pytest.mark.skipif(tested.problem() is not None, reason="FastAPI finds and describes the routes itself")

_OPTIONS = inspect.signature(APIRouter).parameters
with_body_limits = pytest.mark.skipif("max_body_size" not in _OPTIONS, reason="FastAPI limits no bodies before 0.164")
with_form_limits = pytest.mark.skipif("form_limits" not in _OPTIONS, reason="FastAPI limits no forms before 0.165")

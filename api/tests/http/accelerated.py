"""What holds with the versions of FastAPI alone with which the index over the routes was tested."""

import pytest

from opa._compat.fastapi import tested

accelerated = pytest.mark.skipif(tested.problem() is not None, reason="FastAPI finds and describes the routes itself")

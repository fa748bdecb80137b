"""The bare application with many modules, imported and included by hand: those of the folder `BENCH_MODULES`."""

import os
import sys
from importlib import import_module
from pathlib import Path

from fastapi import FastAPI

folder = Path(os.environ["BENCH_MODULES"])
sys.path.append(str(folder))
names = sorted(file.stem for file in folder.glob("*.py"))
# FastAPI puts the lifespan of each router into that of the next, and some 490 are deeper than Python goes by default.
sys.setrecursionlimit(1000 + 10 * len(names))

app = FastAPI()
for name in names:
    app.include_router(import_module(name).router)

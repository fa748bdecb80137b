"""The bare application: what plugins/hello.py does, in FastAPI alone."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
async def hello() -> dict[str, str]:
    """The same answer as the plugin's."""
    return {"message": "hello"}

"""What the plugins of several tests have: a hook that is called, and routes that do not only answer."""

GREETING = """
class Greeting(HookDefinition):
    name = "greeting"


class Hello(Hook):
    name = "greeting"

    def run(self):
        return "hello"
"""

ODD_ROUTES = """
@router.get("/fails")
async def fails():
    raise ValueError("no")


@router.websocket("/ws")
async def ws(websocket: WebSocket):
    await websocket.accept()
    await websocket.close()
"""

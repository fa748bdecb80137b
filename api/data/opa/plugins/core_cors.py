"""CORS: no page of another site may call the API unless ALLOW_ORIGINS names the site."""

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from opa import config

middleware = (
    [
        Middleware(
            CORSMiddleware,
            allow_origins=config.ALLOW_ORIGINS,
            allow_credentials=config.ALLOW_CREDENTIALS,
            allow_methods=config.ALLOW_METHODS,
            allow_headers=config.ALLOW_HEADERS,
        )
    ]
    if config.ALLOW_ORIGINS
    else []
)

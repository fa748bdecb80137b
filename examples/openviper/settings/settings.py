"""What a settings class has there are names here, and each is read."""

MIDDLEWARE: tuple[str, ...] = ("myplugin.middleware.MyPluginMiddleware",)

# Else the folders static/ are served with ENV=dev alone, as by opa up.
STATIC = True

# The api and the worker start together: one of them runs the migrations, and the other waits until it has.
MIGRATE_ON_START = True

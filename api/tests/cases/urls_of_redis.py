"""The kind: four settings take a URL of redis, each reads it in another way, and the error names what is right."""

from __future__ import annotations

from tests.cases.place import Place, case

URL = "rediss://:secret@cache.invalid:6380/1"


@case("B27", "A rediss:// URL is taken in all four places, in any spelling of how its certificate is checked")
def a_url_with_tls(place: Place) -> None:
    components = "OPA_OPTIONAL_COMPONENTS__"
    for check in ("", "?ssl_cert_reqs=required", "?ssl_cert_reqs=CERT_REQUIRED", "?ssl_cert_reqs=perhaps"):
        seen = place.run(
            "check",
            **{f"{components}{name}__LOAD": "auto" for name in ("CELERY", "WALRUS", "AIOREDIS")},
            **{f"{components}CELERY__OPTS__{name}_URL": f"{URL}{check}" for name in ("BROKER", "BACKEND")},
            **{f"{components}{name}__OPTS__URL": f"{URL}{check}" for name in ("WALRUS", "AIOREDIS")},
        )
        if check.endswith("perhaps"):
            assert seen.returncode == 1
            assert "needs the parameter ssl_cert_reqs=required" in seen.stderr, seen.stderr
            assert "secret" not in seen.stderr
        else:
            assert seen.stdout.startswith("ok"), seen.stderr
            assert "insecure" not in seen.stderr, seen.stderr

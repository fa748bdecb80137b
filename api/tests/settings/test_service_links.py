from __future__ import annotations

import pytest

from opa.settings.service_links import service_links

ADDRESS = "tcp://10.96.12.7:8000"


def kubernetes(service: str) -> dict[str, str]:
    """What Kubernetes gives each pod for a service."""
    name = service.upper().replace("-", "_")
    return {
        f"{name}_SERVICE_HOST": "10.96.12.7",
        f"{name}_SERVICE_PORT": "8000",
        f"{name}_SERVICE_PORT_HTTP": "8000",
        f"{name}_PORT": ADDRESS,
        f"{name}_PORT_8000_TCP": ADDRESS,
        f"{name}_PORT_8000_TCP_PROTO": "tcp",
        f"{name}_PORT_8000_TCP_PORT": "8000",
        f"{name}_PORT_8000_TCP_ADDR": "10.96.12.7",
    }


@pytest.mark.parametrize("service", ["opa", "opa-api", "opa-mongodb", "opa-flower", "opa-host", "opa-port"])
def test_every_variable_of_a_service_is_found(service: str) -> None:
    links = kubernetes(service)

    assert service_links({**links, "OPA_LOGLEVEL": "debug", "OPA_WORKERS": "2"}) == links.keys()


def test_a_link_of_docker_has_a_name_and_the_environment_of_the_other_container() -> None:
    links = {"OPA_PROJECT_NAME": "/web/opa-project", "OPA_PROJECT_ENV_LANG": "C"}

    assert service_links({**links, "OPA_NAME": "/my/path"}) == links.keys()


def test_a_port_that_was_set_beside_a_service_is_a_setting() -> None:
    assert "OPA_PORT" not in service_links({**kubernetes("opa"), "OPA_PORT": "9000"})


def test_an_address_alone_is_a_setting_of_the_users_unless_a_setting_of_ours_cannot_hold_it() -> None:
    assert not service_links({"OPA_MODBUS_PORT": "tcp://10.0.0.1:502"}, ["OPA_PORT"])
    assert service_links({"OPA_PORT": ADDRESS}, ["OPA_PORT"]) == {"OPA_PORT"}


def test_names_alone_make_no_service() -> None:
    own = {"OPA_SERVICE_HOST": "a", "OPA_SERVICE_PORT": "1", "OPA_ENV_NAME": "b", "OPA_PORT": "8000"}

    assert not service_links(own, ["OPA_PORT"])

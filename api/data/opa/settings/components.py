"""What the settings say of components, before any driver is imported."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from opa.settings.field_types import YesNoAuto
from opa.settings.quoting import quotable

COMPONENT_KEYS = ("LOAD", "DRIVER", "OPTS")


class Component(BaseModel):
    """One of OPTIONAL_COMPONENTS."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    LOAD: YesNoAuto = "auto"
    DRIVER: Annotated[str, Field(validate_default=True)] = ""
    OPTS: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = {}

    @field_validator("DRIVER")
    @classmethod
    def _needed_to_load(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.data.get("LOAD") != "no":
            raise PydanticCustomError("missing", "is missing")
        return value


def component_name(value: str) -> str:
    """The name of a component.

    Raises:
        ValueError: it is a URL, which has its place in OPTS; the message does not have it.
    """
    if "://" in value:
        raise ValueError("should be the name of a component: its URL belongs into OPTS.URL, where it is masked")
    return value


def component_keys_in_any_case(value: Any) -> Any:
    """OPTIONAL_COMPONENTS with the known keys of each in upper case.

    Raises:
        ValueError: a component is there twice.
    """
    if not isinstance(value, Mapping):
        return value
    doubles = [name for name, count in Counter(str(name).upper() for name in value).items() if count > 1]
    if doubles:
        raise ValueError(quotable(f"should have {doubles[0]} once, upper and lower case are the same"))
    return {str(name): _known_keys_upper(component) for name, component in value.items()}


def _known_keys_upper(component: Any) -> Any:
    if not isinstance(component, Mapping):
        return component
    return {
        key.upper() if isinstance(key, str) and key.upper() in COMPONENT_KEYS else str(key): value
        for key, value in component.items()
    }


class AllSettings(Protocol):
    """What one setting is taken from by its name: `settings["NAME"]`, as those of a `Config` are."""

    def __getitem__(self, name: str, /) -> Any: ...


def task_components(settings: AllSettings) -> dict[str, Any]:
    """The options of the components that run tasks, as TASK_DRIVERS says, by name in lower case."""
    drivers = {name.lower() for name in settings["TASK_DRIVERS"]}
    components = settings["OPTIONAL_COMPONENTS"].items()
    return {name.lower(): options for name, options in components if options["DRIVER"].lower() in drivers}

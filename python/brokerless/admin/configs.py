"""Settings of topics and of the directory."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from brokerless.enums import EnumHelper

__all__ = ["ConfigResource", "ConfigResourceType"]


class ConfigResourceType(EnumHelper, IntEnum):
    """What settings belong to."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigResource:
    """Something that has settings, by type and name."""

    def __init__(
        self,
        resource_type: ConfigResourceType | str,
        name: str,
        configs: Any = None,
    ) -> None:
        if not isinstance(resource_type, ConfigResourceType):
            resource_type = ConfigResourceType[str(resource_type).upper()]
        self.resource_type = resource_type
        self.name = name
        self.configs = configs

    def __repr__(self) -> str:
        return f"ConfigResource({self.resource_type!r}, {self.name!r}, {self.configs!r})"

"""Settings of topics and of the directory: what they are, and how to change them."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from brokerless.admin.base import AdminBase, attempt, text
from brokerless.enums import EnumHelper
from brokerless.errors.base import BrokerResponseError, KafkaConfigurationError
from brokerless.errors.broker import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AlterConfigOp",
    "ConfigAdmin",
    "ConfigFilterType",
    "ConfigResource",
    "ConfigResourceType",
    "ConfigSourceType",
    "ConfigType",
]

if TYPE_CHECKING:
    # Name, value, source, type, synonyms, documentation, read-only, sensitive.
    Setting: TypeAlias = tuple[
        str, str | None, int, int, list[tuple[str, str, int]], str, bool, bool
    ]


class AlterConfigOp(EnumHelper, IntEnum):
    """What happens to a setting."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigResourceType(EnumHelper, IntEnum):
    """What settings belong to."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigType(EnumHelper, IntEnum):
    """Which values a setting has."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class ConfigSourceType(EnumHelper, IntEnum):
    """Who says what a setting is."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    DYNAMIC_CLIENT_METRICS_CONFIG = 7
    DYNAMIC_GROUP_CONFIG = 8

    def is_modified(self) -> bool:
        """Whether it was said of this resource."""
        return self.value not in (3, 4, 5)

    @classmethod
    def dynamic_for_resource_type(cls, resource_type: ConfigResourceType) -> ConfigSourceType:
        """Give the source of what was said of a resource of that type."""
        if resource_type is ConfigResourceType.UNKNOWN:
            return cls.UNKNOWN
        return cls[f"DYNAMIC_{resource_type.name}_CONFIG"]


class ConfigFilterType(EnumHelper, IntEnum):
    """Which settings are wanted."""

    ALL = 0
    DYNAMIC = 1
    MODIFIED = 2
    DEFAULT = 3
    STATIC = 4

    def should_skip(self, config_source: ConfigSourceType) -> bool:
        """Whether a setting of that source is not wanted."""
        if self is ConfigFilterType.MODIFIED:
            return not config_source.is_modified()
        if self is ConfigFilterType.DEFAULT:
            return config_source.is_modified()
        if self is ConfigFilterType.STATIC:
            return config_source is not ConfigSourceType.STATIC_BROKER_CONFIG
        return False


class ConfigResource:
    """Something that has settings, by type and name; `configs` are names, or values by name."""

    def __init__(
        self,
        resource_type: ConfigResourceType | str,
        name: str,
        configs: Any = None,
    ) -> None:
        if not isinstance(resource_type, ConfigResourceType):
            resource_type = ConfigResourceType.build_from(resource_type)
        self.resource_type = resource_type
        self.name = name
        self.configs = configs

    def __str__(self) -> str:
        return f"ConfigResource {self.name}={self.resource_type}"

    def __repr__(self) -> str:
        return f"ConfigResource({self.resource_type!r}, {self.name!r}, {self.configs!r})"


class _Kind(str):
    """A type of resources, which has what kafka-python 2.x gives of them."""

    resources: list[tuple[Any, ...]]


class Answers(dict[str, Any]):
    """By type and name of the resources, as in kafka-python 3.x.

    Who goes through it as through the list of kafka-python 2.x, or asks for `[0]`, finds
    `resources`, with all of their settings.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, _Kind] = {}

    def add(self, resource: ConfigResource, found: Any, older: tuple[Any, ...]) -> None:
        """Put in what is known of a resource."""
        name = resource.resource_type.name.lower()
        kind = self._kinds.setdefault(name, _Kind(name))
        if name not in self:
            kind.resources = []
            self[kind] = {}
        self[kind][resource.name] = found
        kind.resources.append(older)

    def __missing__(self, key: Any) -> _Kind:
        if isinstance(key, int) and key < len(self._kinds):
            return list(self._kinds.values())[key]
        raise KeyError(key)

    @property
    def resources(self) -> list[tuple[Any, ...]]:
        """What kafka-python 2.x gives of each resource."""
        return [one for kind in self._kinds.values() for one in kind.resources]


class ConfigAdmin(AdminBase):
    """What the admin client does with settings."""

    def describe_configs(
        self,
        config_resources: Iterable[ConfigResource],
        include_synonyms: bool = False,
        config_filter: ConfigFilterType | str = "modified",
    ) -> Answers:
        """Describe the settings of topics and of the directory (a `BROKER`, by its node id).

        Those that were set on the resource, or what `config_filter` names: `all`,
        `dynamic`, `default`, `static`. A resource's `configs` are the names that are wanted.
        """
        wanted = ConfigFilterType.build_from(config_filter)
        answers = Answers()
        for resource in config_resources:
            settings, error = self._settings(resource)
            named = [one for one in settings if not resource.configs or one[0] in resource.configs]
            found = {one[0]: _described(one, include_synonyms) for one in named if _is(wanted, one)}
            answers.add(resource, found, _older(resource, named, error, include_synonyms))
        return answers

    def _settings(self, resource: ConfigResource) -> tuple[list[Setting], Any]:
        """All settings of a resource, and what is wrong with it."""
        if resource.resource_type is ConfigResourceType.BROKER:
            self._check_brokers([_broker(resource)])
            return (self._admin.directory_configs(), None)
        if resource.resource_type is ConfigResourceType.GROUP:
            return (self._admin.group_configs(), None)
        if resource.resource_type is not ConfigResourceType.TOPIC:
            return ([], None)
        try:
            return (self._admin.topic_configs(resource.name), None)
        except BrokerResponseError as error:
            return ([], error)

    def alter_configs(
        self,
        config_resources: Iterable[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> Answers:
        """Change settings, and leave the others as they are.

        A resource's `configs` are values by name, or pairs of an `AlterConfigOp` and a value.
        Gives of each resource `OK` or what is wrong; then nothing of it was changed.
        """
        resources = list(config_resources)
        if raise_on_unknown:
            self._check_names(resources)
        changes = [_changes(resource, incremental) for resource in resources]
        return self._alter(resources, changes, validate_only)

    def reset_configs(
        self,
        config_resources: Iterable[ConfigResource],
        validate_only: bool = False,
        raise_on_unknown: bool = True,
        incremental: bool | None = None,
    ) -> Answers:
        """Give settings their defaults again: those in `configs`, or all of the resource."""
        resources = list(config_resources)
        if raise_on_unknown:
            self._check_names(resources)
        names = [resource.configs or self._modified(resource) for resource in resources]
        deletions = [[(name, AlterConfigOp.DELETE.value, None) for name in each] for each in names]
        return self._alter(resources, deletions, validate_only)

    def _alter(
        self, resources: list[ConfigResource], changes: list[list[Any]], validate_only: bool
    ) -> Answers:
        answers = Answers()
        count = Counter(map(_key, resources))
        for resource, wishes in zip(resources, changes, strict=True):
            change = self._change if count[_key(resource)] == 1 else _refuse_twice
            error = attempt(change, resource, wishes, validate_only)
            code, said = (0, None) if error is None else (error.errno, _sentence(error))
            older = (code, said, resource.resource_type.value, resource.name)
            answers.add(resource, "OK" if error is None else str(error), older)
        return answers

    def _change(self, resource: ConfigResource, changes: list[Any], validate_only: bool) -> None:
        for name, operation, value in changes:
            if value is None and operation != AlterConfigOp.DELETE.value:
                raise InvalidRequestError(f"Null value not supported for: {name}")
        if resource.resource_type is ConfigResourceType.TOPIC:
            self._admin.alter_topic(resource.name, changes, validate_only=validate_only)
        elif resource.resource_type is ConfigResourceType.BROKER:
            self._check_brokers([_broker(resource)])
            self._alter_directory(changes, validate_only)
        elif changes:
            kind = resource.resource_type.name
            raise InvalidRequestError(f"there are no settings of a {kind} that could be changed")

    def _alter_directory(self, changes: list[Any], validate_only: bool) -> None:
        try:
            self._admin.alter_directory(changes, validate_only=validate_only)
        except KafkaConfigurationError as error:
            # A broker's class where the settings are its own.
            raise InvalidRequestError(*error.args) from None

    def _modified(self, resource: ConfigResource) -> list[str]:
        settings, _ = self._settings(resource)
        return [one[0] for one in settings if _is(ConfigFilterType.MODIFIED, one)]

    def _check_names(self, resources: list[ConfigResource]) -> None:
        for resource in resources:
            settings, _ = self._settings(resource)
            known = {one[0] for one in settings if _is(ConfigFilterType.DYNAMIC, one)}
            unknown = set(resource.configs or ()) - known
            if unknown:
                raise ValueError(f"Unrecognized configs: {unknown}")

    def list_config_resources(
        self, resource_types: Iterable[ConfigResourceType | str | int] | None = None
    ) -> dict[str, list[str]]:
        """List what has settings: the topics, and the directory as a broker."""
        wanted = [ConfigResourceType.build_from(kind) for kind in resource_types or ()]
        found = {
            ConfigResourceType.TOPIC: [name for name, *_ in self._admin.topics()],
            ConfigResourceType.BROKER: [str(self._node())],
        }
        return {
            kind.name.lower(): names
            for kind, names in found.items()
            if names and (not wanted or kind in wanted)
        }


def _key(resource: ConfigResource) -> tuple[ConfigResourceType, str]:
    return (resource.resource_type, str(resource.name))


def _refuse_twice(*_: Any) -> None:
    raise InvalidRequestError("Each resource must appear at most once.")


def _broker(resource: ConfigResource) -> int:
    try:
        return int(resource.name)
    except ValueError:
        raise ValueError(
            "Broker resource names must be an integer or a string represented integer"
        ) from None


def _is(wanted: ConfigFilterType, setting: Setting) -> bool:
    read_only, source = setting[6], ConfigSourceType(setting[2])
    if wanted is ConfigFilterType.DYNAMIC and read_only:
        return False
    return not wanted.should_skip(source)


def _described(setting: Setting, include_synonyms: bool) -> dict[str, Any]:
    _, value, source, kind, synonyms, documentation, read_only, sensitive = setting
    return {
        "value": value,
        "read_only": read_only,
        "config_source": ConfigSourceType(source).name,
        "is_sensitive": sensitive,
        "synonyms": [_synonym(*one) for one in synonyms] if include_synonyms else [],
        "config_type": ConfigType(kind).name,
        "documentation": documentation,
    }


def _synonym(name: str, value: str, source: int) -> dict[str, Any]:
    return {"name": name, "value": value, "source": ConfigSourceType(source).name}


def _older(
    resource: ConfigResource,
    settings: list[Setting],
    error: BrokerResponseError | None,
    include_synonyms: bool,
) -> tuple[Any, ...]:
    """Code, message, type, name and settings, as in kafka-python 2.x."""
    rows = [
        (name, value, read_only, source, sensitive, synonyms if include_synonyms else [])
        for name, value, source, _, synonyms, _, read_only, sensitive in settings
    ]
    code, said = (0, None) if error is None else (error.errno, _sentence(error))
    return (code, said, resource.resource_type.value, resource.name, rows)


def _sentence(error: BrokerResponseError) -> str:
    return str(error.args[0] if error.args else error)


def _changes(resource: ConfigResource, incremental: bool | None) -> list[Any]:
    """Name, operation and value of each change that is wanted."""
    configs = resource.configs or {}
    if not hasattr(configs, "items"):
        raise TypeError(
            "alter_configs requires configs as a dict of {key: (op, value)} or {key: value} "
            "(interpreted as SET)"
        )
    return [_one_change(name, wish, incremental) for name, wish in configs.items()]


def _one_change(name: str, wish: Any, incremental: bool | None) -> tuple[str, int, str | None]:
    given, value = wish if isinstance(wish, tuple) else (AlterConfigOp.SET, wish)
    operation = AlterConfigOp(AlterConfigOp.value_for(given))
    if incremental is False and operation is not AlterConfigOp.SET:
        raise ValueError(
            f"Non-incremental AlterConfigsRequest does not support operation {given} (SET only)"
        )
    if operation is AlterConfigOp.DELETE:
        value = None
    return (name, operation.value, None if value is None else text(value))

"""Access control lists: their types. A directory has none; its files have owners."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from brokerless.admin.absent import unguarded
from brokerless.errors.base import IllegalArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ACL",
    "ACLAdmin",
    "ACLFilter",
    "ACLOperation",
    "ACLPermissionType",
    "ACLResourcePatternType",
    "ResourcePattern",
    "ResourcePatternFilter",
    "ResourceType",
]


class ResourceType(IntEnum):
    """What an ACL is for."""

    UNKNOWN = 0
    ANY = 1
    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5
    DELEGATION_TOKEN = 6
    USER = 7


class ACLOperation(IntEnum):
    """What it allows or denies."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14


class ACLPermissionType(IntEnum):
    """Whether it allows or denies."""

    UNKNOWN = 0
    ANY = 1
    DENY = 2
    ALLOW = 3


class ACLResourcePatternType(IntEnum):
    """How its resource's name is meant."""

    UNKNOWN = 0
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class _Value:
    """Equal to another with the same fields."""

    _fields: tuple[str, ...]

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())


class ResourcePatternFilter(_Value):
    """Resources, to look for."""

    _fields = ("resource_type", "resource_name", "pattern_type")

    def __init__(
        self,
        resource_type: ResourceType,
        resource_name: str | None,
        pattern_type: ACLResourcePatternType,
    ) -> None:
        self.resource_type = resource_type
        self.resource_name = resource_name
        self.pattern_type = pattern_type
        self.validate()

    def validate(self) -> None:
        """Raise `IllegalArgumentError` for values of other types."""
        if not isinstance(self.resource_type, ResourceType):
            raise IllegalArgumentError("resource_type must be a ResourceType object")
        if not isinstance(self.pattern_type, ACLResourcePatternType):
            raise IllegalArgumentError("pattern_type must be an ACLResourcePatternType object")

    def __repr__(self) -> str:
        kind, pattern = self.resource_type.name, self.pattern_type.name
        return f"<ResourcePattern type={kind}, name={self.resource_name}, pattern={pattern}>"


class ResourcePattern(ResourcePatternFilter):
    """The resources that an ACL is for."""

    def __init__(
        self,
        resource_type: ResourceType,
        resource_name: str | None,
        pattern_type: ACLResourcePatternType = ACLResourcePatternType.LITERAL,
    ) -> None:
        super().__init__(resource_type, resource_name, pattern_type)

    def validate(self) -> None:
        """Raise `IllegalArgumentError` for what only a filter may be."""
        super().validate()
        if self.resource_type is ResourceType.ANY:
            raise IllegalArgumentError("resource_type cannot be ANY")
        if self.pattern_type in (ACLResourcePatternType.ANY, ACLResourcePatternType.MATCH):
            raise IllegalArgumentError(
                f"pattern_type cannot be {self.pattern_type.name} on a concrete ResourcePattern"
            )


class ACLFilter(_Value):
    """ACLs, to look for."""

    _fields = ("principal", "host", "operation", "permission_type", "resource_pattern")

    def __init__(
        self,
        principal: str | None,
        host: str | None,
        operation: ACLOperation,
        permission_type: ACLPermissionType,
        resource_pattern: ResourcePatternFilter,
    ) -> None:
        self.principal = principal
        self.host = host
        self.operation = operation
        self.permission_type = permission_type
        self.resource_pattern = resource_pattern
        self.validate()

    def validate(self) -> None:
        """Raise `IllegalArgumentError` for values of other types."""
        if not isinstance(self.operation, ACLOperation):
            raise IllegalArgumentError("operation must be an ACLOperation object")
        if not isinstance(self.permission_type, ACLPermissionType):
            raise IllegalArgumentError("permission_type must be an ACLPermissionType object")
        if not isinstance(self.resource_pattern, ResourcePatternFilter):
            raise IllegalArgumentError("resource_pattern must be a ResourcePatternFilter object")

    def __repr__(self) -> str:
        return (
            f"<ACL principal={self.principal}, resource={self.resource_pattern}, "
            f"operation={self.operation.name}, type={self.permission_type.name}, host={self.host}>"
        )


class ACL(ACLFilter):
    """Who may do what with which resources."""

    def validate(self) -> None:
        """Raise `IllegalArgumentError` for what only a filter may be."""
        super().validate()
        if self.operation is ACLOperation.ANY:
            raise IllegalArgumentError("operation cannot be ANY")
        if self.permission_type is ACLPermissionType.ANY:
            raise IllegalArgumentError("permission_type cannot be ANY")
        if not isinstance(self.resource_pattern, ResourcePattern):
            raise IllegalArgumentError("resource_pattern must be a ResourcePattern object")


class ACLAdmin:
    """What the admin client says of ACLs."""

    def describe_acls(self, acl_filter: ACLFilter) -> NoReturn:
        """Raise `SecurityDisabledError`, as a broker without an authorizer does."""
        raise unguarded()

    def create_acls(self, acls: Iterable[ACL]) -> NoReturn:
        """Raise `SecurityDisabledError`: nobody would heed them."""
        if not all(isinstance(acl, ACL) for acl in acls):
            raise IllegalArgumentError("acls must contain ACL objects")
        raise unguarded()

    def delete_acls(self, acl_filters: Iterable[ACLFilter]) -> NoReturn:
        """Raise `SecurityDisabledError`: there are none."""
        if not all(isinstance(one, ACLFilter) for one in acl_filters):
            raise IllegalArgumentError("acl_filters must contain ACLFilter type objects")
        raise unguarded()

"""The admin client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from brokerless import _brokerless
from brokerless.admin.acls import ACLAdmin
from brokerless.admin.arguments import checked
from brokerless.admin.cluster import ClusterAdmin
from brokerless.admin.configs import ConfigAdmin
from brokerless.admin.older import OlderNames
from brokerless.admin.records import RecordAdmin
from brokerless.admin.topics import TopicAdmin
from brokerless.admin.transactions import TransactionAdmin
from brokerless.admin.users import UserAdmin
from brokerless.location import directory_of
from brokerless.settings import ADMIN_DEFAULTS, merge

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["KafkaAdminClient"]


@checked
class KafkaAdminClient(
    TopicAdmin,
    ConfigAdmin,
    RecordAdmin,
    ClusterAdmin,
    TransactionAdmin,
    OlderNames,
    ACLAdmin,
    UserAdmin,
):
    """Looks after the topics, groups and settings of a directory.

    The settings are kafka-python's. `bootstrap_servers` names the directory: a path
    or a `file://` URL is that directory, any `host:port` is the default one.
    """

    DEFAULT_CONFIG: ClassVar[dict[str, Any]] = ADMIN_DEFAULTS

    def __init__(self, **configs: Any) -> None:
        self.config = merge(self.DEFAULT_CONFIG, configs)
        self._directory = directory_of(self.config["bootstrap_servers"])
        self._admin = _brokerless.Admin(
            self._directory,
            read_only=self.config["read_only"],
            allow_network_fs=self.config["allow_network_fs"],
        )

    def bootstrap_connected(self) -> bool:
        """Whether the directory is open; it is, from the start."""
        return True

    def close(self) -> None:
        """Let go of the directory. A second call does nothing."""
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} directory={self._directory}>"

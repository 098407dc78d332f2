"""Kafka's error codes: those of consumer groups and their offsets.

The docstring of a class is its `description`.
"""

from brokerless.errors.base import AuthorizationError, BrokerResponseError, RetriableError


class OffsetMetadataTooLargeError(BrokerResponseError):
    """The metadata of a committed offset is too long."""

    errno, message = 12, "OFFSET_METADATA_TOO_LARGE"


class CoordinatorLoadInProgressError(RetriableError, BrokerResponseError):
    """The coordinator is still loading its state."""

    errno, message = 14, "COORDINATOR_LOAD_IN_PROGRESS"


class CoordinatorNotAvailableError(RetriableError, BrokerResponseError):
    """The coordinator is not there at the moment."""

    errno, message = 15, "COORDINATOR_NOT_AVAILABLE"


class NotCoordinatorError(RetriableError, BrokerResponseError):
    """The broker does not coordinate this group or transaction."""

    errno, message = 16, "NOT_COORDINATOR"


class IllegalGenerationError(BrokerResponseError):
    """The generation is not the group's current one."""

    errno, message = 22, "ILLEGAL_GENERATION"


class InconsistentGroupProtocolError(BrokerResponseError):
    """The member has no protocol in common with its group."""

    errno, message = 23, "INCONSISTENT_GROUP_PROTOCOL"


class InvalidGroupIdError(BrokerResponseError):
    """The group's id is empty or not allowed."""

    errno, message = 24, "INVALID_GROUP_ID"


class UnknownMemberIdError(BrokerResponseError):
    """The group does not know this member."""

    errno, message = 25, "UNKNOWN_MEMBER_ID"


class InvalidSessionTimeoutError(BrokerResponseError):
    """The session timeout is outside the allowed range."""

    errno, message = 26, "INVALID_SESSION_TIMEOUT"


class RebalanceInProgressError(BrokerResponseError):
    """The group is rebalancing: join again."""

    errno, message = 27, "REBALANCE_IN_PROGRESS"


class InvalidCommitOffsetSizeError(BrokerResponseError):
    """The offsets to commit are too large for one record."""

    errno, message = 28, "INVALID_COMMIT_OFFSET_SIZE"


class GroupAuthorizationFailedError(AuthorizationError):
    """Not allowed to use the group."""

    errno, message = 30, "GROUP_AUTHORIZATION_FAILED"


class NonEmptyGroupError(BrokerResponseError):
    """The group has members."""

    errno, message = 68, "NON_EMPTY_GROUP"


class GroupIdNotFoundError(BrokerResponseError):
    """No such group."""

    errno, message = 69, "GROUP_ID_NOT_FOUND"


class MemberIdRequiredError(BrokerResponseError):
    """The member must ask for an id before it joins."""

    errno, message = 79, "MEMBER_ID_REQUIRED"


class GroupMaxSizeReachedError(BrokerResponseError):
    """The group is full."""

    errno, message = 81, "GROUP_MAX_SIZE_REACHED"


class FencedInstanceIdError(BrokerResponseError):
    """Another member has taken over this group_instance_id."""

    errno, message = 82, "FENCED_INSTANCE_ID"


class GroupSubscribedToTopicError(BrokerResponseError):
    """The group is reading the topic whose offsets should go."""

    errno, message = 86, "GROUP_SUBSCRIBED_TO_TOPIC"


class UnstableOffsetCommitError(RetriableError, BrokerResponseError):
    """Offsets of an open transaction are in the way."""

    errno, message = 88, "UNSTABLE_OFFSET_COMMIT"

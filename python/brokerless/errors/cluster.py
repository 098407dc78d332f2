"""Kafka's error codes: those of brokers, security and other parts not met here.

They are here for `except` clauses and `for_code`. The docstring of a class is its
`description`.
"""

from brokerless.errors.base import (
    AuthorizationError,
    BrokerResponseError,
    InvalidMetadataError,
    RetriableError,
)


class StaleControllerEpochError(BrokerResponseError):
    """A controller of an older epoch."""

    errno, message = 11, "STALE_CONTROLLER_EPOCH"


class UnsupportedSaslMechanismError(BrokerResponseError):
    """The SASL mechanism is not supported."""

    errno, message = 33, "UNSUPPORTED_SASL_MECHANISM"


class IllegalSaslStateError(BrokerResponseError):
    """The request does not fit the state of the authentication."""

    errno, message = 34, "ILLEGAL_SASL_STATE"


class NotControllerError(RetriableError, BrokerResponseError):
    """The broker is not the controller."""

    errno, message = 41, "NOT_CONTROLLER"


class SecurityDisabledError(BrokerResponseError):
    """Security is switched off."""

    errno, message = 54, "SECURITY_DISABLED"


class LogDirNotFoundError(BrokerResponseError):
    """No such log directory."""

    errno, message = 57, "LOG_DIR_NOT_FOUND"


class SaslAuthenticationFailedError(BrokerResponseError):
    """The authentication failed."""

    errno, message = 58, "SASL_AUTHENTICATION_FAILED"


class ReassignmentInProgressError(BrokerResponseError):
    """The partition is being reassigned."""

    errno, message = 60, "REASSIGNMENT_IN_PROGRESS"


class DelegationTokenAuthDisabledError(BrokerResponseError):
    """Delegation tokens are switched off."""

    errno, message = 61, "DELEGATION_TOKEN_AUTH_DISABLED"


class DelegationTokenNotFoundError(BrokerResponseError):
    """No such delegation token."""

    errno, message = 62, "DELEGATION_TOKEN_NOT_FOUND"


class DelegationTokenOwnerMismatchError(BrokerResponseError):
    """The delegation token belongs to somebody else."""

    errno, message = 63, "DELEGATION_TOKEN_OWNER_MISMATCH"


class DelegationTokenRequestNotAllowedError(BrokerResponseError):
    """Delegation tokens are not allowed on this channel."""

    errno, message = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"


class DelegationTokenAuthorizationFailedError(AuthorizationError):
    """Not allowed to use delegation tokens."""

    errno, message = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED"


class DelegationTokenExpiredError(BrokerResponseError):
    """The delegation token is too old."""

    errno, message = 66, "DELEGATION_TOKEN_EXPIRED"


class InvalidPrincipalTypeError(BrokerResponseError):
    """This type of principal is not supported."""

    errno, message = 67, "INVALID_PRINCIPAL_TYPE"


class FetchSessionIdNotFoundError(RetriableError, BrokerResponseError):
    """No such fetch session."""

    errno, message = 70, "FETCH_SESSION_ID_NOT_FOUND"


class InvalidFetchSessionEpochError(RetriableError, BrokerResponseError):
    """The fetch session's epoch makes no sense."""

    errno, message = 71, "INVALID_FETCH_SESSION_EPOCH"


class ListenerNotFoundError(InvalidMetadataError, BrokerResponseError):
    """The leader has no listener of this name."""

    errno, message = 72, "LISTENER_NOT_FOUND"


class TopicDeletionDisabledError(BrokerResponseError):
    """Topics may not be deleted."""

    errno, message = 73, "TOPIC_DELETION_DISABLED"


class StaleBrokerEpochError(BrokerResponseError):
    """A broker of an older epoch."""

    errno, message = 77, "STALE_BROKER_EPOCH"


class PreferredLeaderNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """The preferred leader is not there."""

    errno, message = 80, "PREFERRED_LEADER_NOT_AVAILABLE"


class EligibleLeadersNotAvailableError(InvalidMetadataError, BrokerResponseError):
    """No replica may become the leader."""

    errno, message = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE"


class ElectionNotNeededError(InvalidMetadataError, BrokerResponseError):
    """The partition has the wanted leader already."""

    errno, message = 84, "ELECTION_NOT_NEEDED"


class NoReassignmentInProgressError(BrokerResponseError):
    """No reassignment of the partition is under way."""

    errno, message = 85, "NO_REASSIGNMENT_IN_PROGRESS"


class ThrottlingQuotaExceededError(RetriableError, BrokerResponseError):
    """Too many such requests at the moment."""

    errno, message = 89, "THROTTLING_QUOTA_EXCEEDED"


class ResourceNotFoundError(BrokerResponseError):
    """No such resource."""

    errno, message = 91, "RESOURCE_NOT_FOUND"


class DuplicateResourceError(BrokerResponseError):
    """The same resource twice."""

    errno, message = 92, "DUPLICATE_RESOURCE"


class UnacceptableCredentialError(BrokerResponseError):
    """The credential does not meet the rules."""

    errno, message = 93, "UNACCEPTABLE_CREDENTIAL"


class InconsistentVoterSetError(BrokerResponseError):
    """Voters disagree about who votes."""

    errno, message = 94, "INCONSISTENT_VOTER_SET"


class InvalidUpdateVersionError(BrokerResponseError):
    """The new version of the feature makes no sense."""

    errno, message = 95, "INVALID_UPDATE_VERSION"


class FeatureUpdateFailedError(BrokerResponseError):
    """The features could not be changed."""

    errno, message = 96, "FEATURE_UPDATE_FAILED"


class PrincipalDeserializationFailureError(BrokerResponseError):
    """The forwarded principal cannot be read."""

    errno, message = 97, "PRINCIPAL_DESERIALIZATION_FAILURE"


class SnapshotNotFoundError(BrokerResponseError):
    """No such snapshot."""

    errno, message = 98, "SNAPSHOT_NOT_FOUND"


class PositionOutOfRangeError(BrokerResponseError):
    """The position is outside the snapshot."""

    errno, message = 99, "POSITION_OUT_OF_RANGE"


class UnknownTopicIdError(InvalidMetadataError, BrokerResponseError):
    """No such topic id."""

    errno, message = 100, "UNKNOWN_TOPIC_ID"


class DuplicateBrokerRegistrationError(BrokerResponseError):
    """The broker's id is in use."""

    errno, message = 101, "DUPLICATE_BROKER_REGISTRATION"


class BrokerIdNotRegisteredError(BrokerResponseError):
    """The broker's id is not registered."""

    errno, message = 102, "BROKER_ID_NOT_REGISTERED"


class InconsistentTopicIdError(InvalidMetadataError, BrokerResponseError):
    """The topic id does not belong to the topic."""

    errno, message = 103, "INCONSISTENT_TOPIC_ID"


class InconsistentClusterIdError(BrokerResponseError):
    """The cluster id is another one."""

    errno, message = 104, "INCONSISTENT_CLUSTER_ID"


class TransactionalIdNotFoundError(BrokerResponseError):
    """No such transactional id."""

    errno, message = 105, "TRANSACTIONAL_ID_NOT_FOUND"


class FetchSessionTopicIdError(RetriableError, BrokerResponseError):
    """The fetch session mixes up topic ids."""

    errno, message = 106, "FETCH_SESSION_TOPIC_ID_ERROR"


class IneligibleReplicaError(BrokerResponseError):
    """A replica that may not be in sync."""

    errno, message = 107, "INELIGIBLE_REPLICA"


class NewLeaderElectedError(BrokerResponseError):
    """Done, and another leader was elected."""

    errno, message = 108, "NEW_LEADER_ELECTED"


class OffsetMovedToTieredStorageError(BrokerResponseError):
    """The offset has moved to tiered storage."""

    errno, message = 109, "OFFSET_MOVED_TO_TIERED_STORAGE"


class FencedMemberEpochError(BrokerResponseError):
    """The member's epoch is too old: it must join again."""

    errno, message = 110, "FENCED_MEMBER_EPOCH"


class UnreleasedInstanceIdError(BrokerResponseError):
    """The instance id is still in use."""

    errno, message = 111, "UNRELEASED_INSTANCE_ID"


class UnsupportedAssignorError(BrokerResponseError):
    """The assignor is not supported."""

    errno, message = 112, "UNSUPPORTED_ASSIGNOR"


class StaleMemberEpochError(BrokerResponseError):
    """The member's epoch is out of date."""

    errno, message = 113, "STALE_MEMBER_EPOCH"


class MismatchedEndpointTypeError(BrokerResponseError):
    """The request went to the wrong kind of endpoint."""

    errno, message = 114, "MISMATCHED_ENDPOINT_TYPE"


class UnsupportedEndpointTypeError(BrokerResponseError):
    """This kind of endpoint is not supported."""

    errno, message = 115, "UNSUPPORTED_ENDPOINT_TYPE"


class UnknownControllerIdError(BrokerResponseError):
    """No such controller."""

    errno, message = 116, "UNKNOWN_CONTROLLER_ID"


class UnknownSubscriptionIdError(BrokerResponseError):
    """No such telemetry subscription."""

    errno, message = 117, "UNKNOWN_SUBSCRIPTION_ID"


class TelemetryTooLargeError(BrokerResponseError):
    """Too much telemetry at once."""

    errno, message = 118, "TELEMETRY_TOO_LARGE"


class InvalidRegistrationError(BrokerResponseError):
    """The controller refuses the registration."""

    errno, message = 119, "INVALID_REGISTRATION"


class InvalidRecordStateError(BrokerResponseError):
    """The record's state does not allow to acknowledge it."""

    errno, message = 121, "INVALID_RECORD_STATE"


class ShareSessionNotFoundError(RetriableError, BrokerResponseError):
    """No such share session."""

    errno, message = 122, "SHARE_SESSION_NOT_FOUND"


class InvalidShareSessionEpochError(RetriableError, BrokerResponseError):
    """The share session's epoch makes no sense."""

    errno, message = 123, "INVALID_SHARE_SESSION_EPOCH"


class FencedStateEpochError(BrokerResponseError):
    """The share group's epoch is too old."""

    errno, message = 124, "FENCED_STATE_EPOCH"


class InvalidVoterKeyError(BrokerResponseError):
    """The voter's key is another one."""

    errno, message = 125, "INVALID_VOTER_KEY"


class DuplicateVoterError(BrokerResponseError):
    """The voter is in the set already."""

    errno, message = 126, "DUPLICATE_VOTER"


class VoterNotFoundError(BrokerResponseError):
    """The voter is not in the set."""

    errno, message = 127, "VOTER_NOT_FOUND"

import pickle

import pytest

from brokerless import errors

NAMED = [getattr(errors, name) for name in errors.__all__ if name[0].isupper()]
CLASSES = [named for named in NAMED if issubclass(named, errors.KafkaError)]

# Numbers and names as in Kafka's protocol.
CODES = {
    -1: ("UnknownError", "UNKNOWN", False),
    0: ("NoError", "NO_ERROR", False),
    1: ("OffsetOutOfRangeError", "OFFSET_OUT_OF_RANGE", False),
    2: ("CorruptRecordError", "CORRUPT_MESSAGE", False),
    3: ("UnknownTopicOrPartitionError", "UNKNOWN_TOPIC_OR_PARTITION", True),
    10: ("MessageSizeTooLargeError", "MESSAGE_SIZE_TOO_LARGE", False),
    17: ("InvalidTopicError", "INVALID_TOPIC", False),
    35: ("UnsupportedVersionError", "UNSUPPORTED_VERSION", False),
    36: ("TopicAlreadyExistsError", "TOPIC_ALREADY_EXISTS", False),
    56: ("KafkaStorageError", "KAFKA_STORAGE_ERROR", True),
    87: ("InvalidRecordError", "INVALID_RECORD", False),
    127: ("VoterNotFoundError", "VOTER_NOT_FOUND", False),
}


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_its_class_with_name_and_description(code: int) -> None:
    name, message, retriable = CODES[code]

    error = errors.for_code(code)

    assert (error.__name__, error.errno, error.message) == (name, code, message)
    assert error.retriable is retriable
    assert error.description


def test_every_code_from_unknown_to_the_last_has_a_class() -> None:
    assert sorted(errors.kafka_errors) == list(range(-1, 128))


def test_an_unknown_code_gives_a_class_with_that_number() -> None:
    error = errors.for_code(4711)

    assert error.errno == 4711
    assert issubclass(error, errors.UnknownError)


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_every_error_can_be_made_compared_and_pickled(error: type[Exception]) -> None:
    made = error("why")

    assert made == error("why")
    assert made != error("because")
    assert hash(made) == hash(error("why"))
    assert pickle.loads(pickle.dumps(made)) == made


def test_the_text_names_class_and_number() -> None:
    assert str(errors.KafkaTimeoutError()) == "KafkaTimeoutError"
    assert str(errors.KafkaTimeoutError("late")) == "KafkaTimeoutError: late"
    assert str(errors.InvalidTopicError("x/y")) == "[Error 17] InvalidTopicError: x/y"


def test_both_dialects_catch_what_they_expect() -> None:
    assert issubclass(errors.KafkaError, RuntimeError)  # 2.x
    assert issubclass(errors.NoBrokersAvailable, errors.KafkaError)  # 2.x
    assert issubclass(errors.KafkaTimeoutError, errors.RetriableError)  # 3.x
    assert errors.UnknownTopicOrPartitionError.invalid_metadata
    assert errors.CorruptRecordException is errors.CorruptRecordError
    assert issubclass(errors.IncompatibleBrokerVersion, errors.UnsupportedVersionError)
    assert bases(errors.IllegalArgumentError, errors.KafkaError, ValueError, AssertionError)
    assert bases(errors.ClosedError, errors.IllegalStateError, AssertionError)
    assert bases(errors.ArgumentTypeError, TypeError, AssertionError)


def bases(error: type[Exception], *wanted: type[Exception]) -> bool:
    return all(issubclass(error, base) for base in wanted)


def test_a_failed_commit_explains_itself() -> None:
    assert "poll again" in str(errors.CommitFailedError())
    assert str(errors.CommitFailedError("x")) == "CommitFailedError: x"


def test_a_truncation_tells_where() -> None:
    error = errors.LogTruncationError({("t", 0): None})

    assert error.divergent_offsets == {("t", 0): None}
    assert pickle.loads(pickle.dumps(error)).divergent_offsets == error.divergent_offsets


def test_an_exception_is_caught_by_the_name_it_had() -> None:
    assert errors.GroupCoordinatorNotAvailableError is errors.CoordinatorNotAvailableError
    assert errors.GroupLoadInProgressError is errors.CoordinatorLoadInProgressError
    assert errors.InvalidMessageError is errors.CorruptRecordError
    assert errors.NotCoordinatorForGroupError is errors.NotCoordinatorError
    assert errors.ProtocolError is errors.KafkaProtocolError


def test_an_old_exception_has_what_it_was_about() -> None:
    assert errors.FailedPayloadsError("request").payload == "request"
    assert errors.AsyncProducerQueueFull(["message"]).failed_msgs == ["message"]

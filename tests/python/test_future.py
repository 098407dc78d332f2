import logging

import pytest

from brokerless.errors import KafkaError, KafkaTimeoutError
from brokerless.future import Future, FutureProduceResult
from brokerless.structs import TopicPartition


def test_callbacks_get_the_value_before_and_after() -> None:
    future = Future()
    seen: list[object] = []

    future.add_callback(seen.append).add_errback(lambda e: seen.append("never"))
    future.success(1)
    future.add_callback(lambda a, value, b: seen.append((a, value, b)), "a", b="b")
    future.add_both(seen.append)

    assert seen == [1, ("a", 1, "b"), 1]
    assert (future.is_done, future.succeeded(), future.failed(), future.value) == (
        True,
        True,
        False,
        1,
    )


def test_errbacks_get_the_exception() -> None:
    future = Future()
    seen: list[object] = []

    future.add_callback(lambda v: seen.append("never")).add_errback(seen.append)
    future.failure(KafkaTimeoutError)

    assert seen == [KafkaTimeoutError()]
    assert future.failed()
    assert future.retriable()


def test_a_future_is_completed_once() -> None:
    future = Future().success(None)

    with pytest.raises(AssertionError):
        future.success(None)


def test_chained_futures_share_the_outcome() -> None:
    first, second, third = Future(), Future(), Future()
    first.chain(second)
    first.success(5)
    assert second.value == 5

    Future().failure(ValueError("x")).chain(third)
    assert isinstance(third.exception, ValueError)


def test_a_failing_callback_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    future = Future()
    seen: list[object] = []
    future.add_callback(lambda v: 1 / 0).add_callback(seen.append)

    with caplog.at_level(logging.ERROR, logger="brokerless"):
        future.success(1)

    assert seen == [1]
    assert "ZeroDivisionError" in caplog.text


def test_a_future_can_be_awaited() -> None:
    async def wait(future: Future) -> object:
        return await future

    with pytest.raises(StopIteration) as stopped:
        wait(Future().success(3)).send(None)
    assert stopped.value.value == 3
    with pytest.raises(ValueError, match="x"):
        wait(Future().failure(ValueError("x"))).send(None)


def test_the_future_of_a_batch_waits_until_it_is_done() -> None:
    future = FutureProduceResult(TopicPartition("orders", 0))

    early = future.wait(0)
    future.failure(KafkaError("why"))

    assert (early, future.wait(0), future.topic_partition.topic) == (False, True, "orders")

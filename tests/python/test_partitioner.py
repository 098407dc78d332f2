import random

import pytest

from brokerless.partitioner import (
    DefaultPartitioner,
    Partitioner,
    RoundRobinPartitioner,
    StickyPartitioner,
    is_builtin,
    murmur2,
)

# From the tests of Kafka's Java client.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def plain_murmur2(data: bytes) -> int:
    """Written after the definition, slowly."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


@pytest.mark.parametrize("key", JAVA)
def test_murmur2_is_javas(key: bytes) -> None:
    assert murmur2(key) == JAVA[key] & 0xFFFFFFFF


def test_murmur2_is_the_same_for_any_bytes() -> None:
    chance = random.Random(7)
    for length in range(200):
        data = chance.randbytes(length)
        assert murmur2(data) == plain_murmur2(data), data
        assert murmur2(bytearray(data)) == murmur2(memoryview(data)) == murmur2(data)


def test_the_default_partitioner_goes_by_the_keys_hash() -> None:
    pick = DefaultPartitioner()

    assert pick(b"foobar", list(range(1000)), []) == (JAVA[b"foobar"] & 0x7FFFFFFF) % 1000
    assert pick(None, [0, 1, 2], [2]) == 2
    assert pick(None, [0, 1, 2], []) in (0, 1, 2)


class Cluster:
    def topics(self) -> set[str]:
        return {"t"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {0, 1, 2, 3, 4} if topic == "t" else None

    available_partitions_for_topic = partitions_for_topic


def test_the_same_in_the_words_of_the_new_dialect() -> None:
    pick = DefaultPartitioner()

    expected = (JAVA[b"abc"] & 0x7FFFFFFF) % 5
    assert pick.partition("t", "abc", b"abc", None, b"", Cluster()) == expected
    assert pick.partition("t", None, None, None, b"", Cluster()) in range(5)
    with pytest.raises(ValueError, match="Topic u not found"):
        pick.partition("u", None, None, None, b"", Cluster())


def test_round_robin_takes_one_after_the_other() -> None:
    pick = RoundRobinPartitioner()

    assert [pick(b"key", [5, 6, 7]) for _ in range(4)] == [5, 6, 7, 5]


def test_only_the_builtin_ones_are_left_to_the_engine() -> None:
    class Mine(DefaultPartitioner):
        pass

    assert is_builtin(None)
    assert is_builtin(DefaultPartitioner())
    assert is_builtin(StickyPartitioner())
    assert not is_builtin(Mine())
    assert not is_builtin(lambda *_: 0)
    assert issubclass(Mine, Partitioner)

"""Limits of the system that a process runs into."""

import subprocess
import sys
from pathlib import Path

import pytest

from brokerless import KafkaConsumer, KafkaProducer, TopicPartition
from brokerless.errors import MessageSizeTooLargeError

PROGRAM = """
import resource
from brokerless import KafkaAdminClient, KafkaConsumer, KafkaProducer, NewTopic, TopicPartition

resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
KafkaAdminClient().create_topics([NewTopic("t", 500, 1)])
producer = KafkaProducer()
for turn in range(3):
    sent = [producer.send("t", b"v", partition=number) for number in range(500)]
    producer.flush()
    assert all(future.succeeded() for future in sent)
open("/dev/null").close()
consumer = KafkaConsumer(auto_offset_reset="earliest", consumer_timeout_ms=1000)
consumer.assign([TopicPartition("t", number) for number in range(500)])
assert sum(1 for _ in consumer) == 1500
"""


def test_many_partitions_need_few_open_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resource")
    monkeypatch.setenv("BROKERLESS_DIR", str(tmp_path / "data"))

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_what_unpacks_to_more_than_the_limit_is_refused_and_can_be_passed(
    topic: str, codec: str
) -> None:
    with KafkaProducer(compression_type=codec) as producer:
        producer.send(topic, bytes(200_000), partition=0).get(20)
        producer.send(topic, b"behind", partition=0).get(20)
    bomb = TopicPartition(topic, 0)
    with KafkaConsumer(auto_offset_reset="earliest", max_decompressed_bytes=100_000) as consumer:
        consumer.assign([bomb])

        with pytest.raises(MessageSizeTooLargeError, match="raise max_decompressed_bytes, or seek"):
            consumer.poll(5000)
        assert consumer.position(bomb) == 0
        consumer.seek(bomb, 1)

        assert [record.value for record in consumer.poll(5000)[bomb]] == [b"behind"]

"""What the core has to say comes out in Python's logging."""

import logging
import shutil
from pathlib import Path

import pytest

from brokerless import KafkaProducer


def test_a_topic_whose_folders_are_gone_is_warned_of(
    directory: Path, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KafkaProducer() as producer:
        producer.send(topic, b"v", partition=0).get()
    for folder in directory.glob(f"{topic}-*"):
        shutil.rmtree(folder)

    with caplog.at_level(logging.WARNING, logger="brokerless"), KafkaProducer() as producer:
        producer.partitions_for(topic)

    said = f"{topic}-0 had records up to offset 1, and its folder is gone from {directory}"
    assert said in caplog.text

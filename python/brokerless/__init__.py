"""Apache Kafka's log, in your process: kafka-python's API without a broker.

    from brokerless import KafkaConsumer, KafkaProducer

    with KafkaProducer(bootstrap_servers="./data") as producer:
        producer.send("greetings", b"hello")

A program written for kafka-python runs as it is with `brokerless run program.py`.
"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from brokerless import _brokerless
from brokerless._brokerless import ConsumerRecord, RecordMetadata, __version__
from brokerless._later import names_of
from brokerless.consumer import KafkaConsumer
from brokerless.listener import AsyncConsumerRebalanceListener, ConsumerRebalanceListener
from brokerless.producer import KafkaProducer
from brokerless.structs import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition

if TYPE_CHECKING:
    from brokerless.admin import KafkaAdminClient, NewPartitions, NewTopic
    from brokerless.isolation import IsolationLevel, OffsetSpec
    from brokerless.serializer import (
        DefaultSerializer,
        Deserializer,
        JsonSerializer,
        Serializer,
    )
    from brokerless.structs import ConsumerGroupMetadata, TopicPartitionReplica

__all__ = [
    "AsyncConsumerRebalanceListener",
    "ConsumerGroupMetadata",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "DefaultSerializer",
    "Deserializer",
    "IsolationLevel",
    "JsonSerializer",
    "KafkaAdminClient",
    "KafkaConsumer",
    "KafkaProducer",
    "NewPartitions",
    "NewTopic",
    "OffsetAndMetadata",
    "OffsetAndTimestamp",
    "OffsetSpec",
    "RecordMetadata",
    "Serializer",
    "TopicPartition",
    "TopicPartitionReplica",
    "__version__",
]

__getattr__, __dir__ = names_of(
    globals(),
    {
        "ConsumerGroupMetadata": "structs",
        "DefaultSerializer": "serializer",
        "Deserializer": "serializer",
        "IsolationLevel": "isolation",
        "JsonSerializer": "serializer",
        "KafkaAdminClient": "admin",
        "NewPartitions": "admin",
        "NewTopic": "admin",
        "OffsetSpec": "isolation",
        "Serializer": "serializer",
        "TopicPartitionReplica": "structs",
    },
)

# Nothing that was sent is lost when a program just ends.
atexit.register(_brokerless.flush_all)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_brokerless._before_fork,  # noqa: SLF001
        after_in_parent=_brokerless._after_fork_in_parent,  # noqa: SLF001
        after_in_child=_brokerless._after_fork_in_child,  # noqa: SLF001
    )

"""Apache Kafka's log, in your process: kafka-python's API without a broker.

    from brokerless import KafkaConsumer, KafkaProducer

    with KafkaProducer(bootstrap_servers="./data") as producer:
        producer.send("greetings", b"hello")

A program written for kafka-python runs as it is with `brokerless run program.py`.
"""

from brokerless._later import names_of

# As `typing` has it, which takes longer to import than all that is here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from brokerless._brokerless import ConsumerRecord, RecordMetadata, __version__
    from brokerless.admin import KafkaAdminClient, NewPartitions, NewTopic
    from brokerless.consumer import KafkaConsumer
    from brokerless.isolation import IsolationLevel, OffsetSpec
    from brokerless.listener import AsyncConsumerRebalanceListener, ConsumerRebalanceListener
    from brokerless.producer import KafkaProducer
    from brokerless.serializer import (
        DefaultSerializer,
        Deserializer,
        JsonSerializer,
        Serializer,
    )
    from brokerless.structs import (
        ConsumerGroupMetadata,
        OffsetAndMetadata,
        OffsetAndTimestamp,
        TopicPartition,
        TopicPartitionReplica,
    )

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

if not TYPE_CHECKING:  # a name that is none stays an error for who checks types
    __getattr__, __dir__ = names_of(
        globals(),
        {
            "AsyncConsumerRebalanceListener": "listener",
            "ConsumerGroupMetadata": "structs",
            "ConsumerRebalanceListener": "listener",
            "ConsumerRecord": "_brokerless",
            "DefaultSerializer": "serializer",
            "Deserializer": "serializer",
            "IsolationLevel": "isolation",
            "JsonSerializer": "serializer",
            "KafkaAdminClient": "admin",
            "KafkaConsumer": "consumer",
            "KafkaProducer": "producer",
            "NewPartitions": "admin",
            "NewTopic": "admin",
            "OffsetAndMetadata": "structs",
            "OffsetAndTimestamp": "structs",
            "OffsetSpec": "isolation",
            "RecordMetadata": "_brokerless",
            "Serializer": "serializer",
            "TopicPartition": "structs",
            "TopicPartitionReplica": "structs",
            "__version__": "_brokerless",
        },
        (
            "admin",
            "assignors",
            "consumer",
            "errors",
            "listener",
            "partitioner",
            "producer",
            "structs",
        ),
    )

import json

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError

admin = KafkaAdminClient(bootstrap_servers="localhost:9092", client_id="test")
try:
    admin.create_topics(
        new_topics=[NewTopic(name="orders", num_partitions=2, replication_factor=1)],
        validate_only=False,
    )
except TopicAlreadyExistsError:
    print("there already")


def on_send_success(record_metadata):
    print(record_metadata.topic, record_metadata.partition, record_metadata.offset)


def on_send_error(excp):
    print("I am an errback", excp)


producer = KafkaProducer(
    bootstrap_servers="localhost:9092",
    key_serializer=str.encode,
    value_serializer=lambda m: json.dumps(m).encode("ascii"),
)
for i in range(4):
    producer.send("orders", key="same", value={"id": i}).add_callback(on_send_success).add_errback(
        on_send_error
    )
producer.flush()

consumer = KafkaConsumer(
    "orders",
    bootstrap_servers="localhost:9092",
    group_id="billing",
    enable_auto_commit=False,
    auto_offset_reset="earliest",
    value_deserializer=lambda m: json.loads(m.decode("ascii")),
)
seen = 0
while seen < 4:
    batch = consumer.poll(timeout_ms=1000, max_records=2)
    for tp, records in batch.items():
        for record in records:
            seen += 1
            print(record.value["id"], record.key.decode())
            meta = OffsetAndMetadata(record.offset + 1, record.timestamp, -1)
            consumer.commit({TopicPartition(record.topic, record.partition): meta})
print("committed", sorted(consumer.committed(tp) or 0 for tp in consumer.assignment()))
consumer.close()
try:
    producer.send("orders", key="last", value={"id": 9}).get(timeout=10)
except KafkaTimeoutError:
    print("too late")

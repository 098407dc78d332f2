import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

start = int(time.time() * 1000) - 10_000
producer = KafkaProducer(bootstrap_servers="localhost:9092", linger_ms=10, compression_type="gzip")
for i in range(10):
    producer.send("events", b"event %d" % i, timestamp_ms=start + i * 1000)
producer.flush()

consumer = KafkaConsumer(bootstrap_servers="localhost:9092")
tps = [TopicPartition("events", p) for p in consumer.partitions_for_topic("events")]
consumer.assign(tps)
offsets = consumer.offsets_for_times({tp: start + 4500 for tp in tps})
for tp, found in offsets.items():
    if found is not None:
        consumer.seek(tp, found.offset)
    else:
        consumer.seek_to_end(tp)
print("".join("%s\n" % m.value.decode() for ms in consumer.poll(1000).values() for m in ms), end="")
print("events" in consumer.topics(), consumer.subscription(), sorted(consumer.assignment()))

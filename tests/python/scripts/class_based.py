from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import OffsetAndMetadata


class MyProducer(KafkaProducer):
    def __init__(self, **kw):
        kw.setdefault("bootstrap_servers", "localhost:9092")
        super(MyProducer, self).__init__(**kw)

    def send_text(self, topic, text):
        return self.send(topic, text.encode(self.config.get("encoding", "utf-8")))


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    def on_partitions_revoked(self, revoked):
        print("revoked", sorted(revoked))

    def on_partitions_assigned(self, assigned):
        print("assigned", sorted(assigned))
        for tp in assigned:
            self.consumer.seek(tp, 1)


p = MyProducer()
for text in ("zero", "one", "two"):
    future = p.send_text("words", text)
    meta = future.get(timeout=60)
assert future.succeeded() and future.is_done and not future.failed()

c = KafkaConsumer(bootstrap_servers=["localhost:9092"], group_id="words", consumer_timeout_ms=500)
c.subscribe(topics=("words"), listener=Listener(c))
for msg in c:
    print("%s:%d:%d: key=%s value=%s" % (msg.topic, msg.partition, msg.offset, msg.key, msg.value))
tp = TopicPartition("words", 0)
print(c.position(tp), c.end_offsets([tp])[tp], c.beginning_offsets([tp])[tp], c.highwater(tp))
c.commit({tp: OffsetAndMetadata(c.position(tp), "done", -1)})
print(c.committed(tp))
c.close(autocommit=False)

# kafka-python 2.x, as in many tutorials
import logging
import sys
import threading
import time
from multiprocessing import Process

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, NoBrokersAvailable


class Producer(threading.Thread):
    def __init__(self):
        threading.Thread.__init__(self)
        self.stop_event = threading.Event()

    def stop(self):
        self.stop_event.set()

    def run(self):
        producer = KafkaProducer(bootstrap_servers="localhost:9092", retries=5, acks=1,
                                 api_version=(0, 10, 1), buffer_memory=33554432)
        while not self.stop_event.is_set():
            producer.send("my-topic", b"test")
            producer.send("my-topic", b"\xc2Hola, mundo!")
            time.sleep(0.05)
        producer.close()


class Consumer(Process):
    def run(self):
        consumer = KafkaConsumer(bootstrap_servers="localhost:9092",
                                 auto_offset_reset="smallest",
                                 consumer_timeout_ms=2000)
        consumer.subscribe(["my-topic"])
        for message in consumer:
            assert message.topic == "my-topic"
            print(message.value, flush=True)
            if message.offset >= 3:
                break
        consumer.close()


def main():
    try:
        tasks = [Producer(), Consumer()]
    except NoBrokersAvailable:
        sys.exit("no brokers")
    for t in tasks:
        t.start()
    tasks[1].join()
    tasks[0].stop()
    for task in tasks:
        task.join()


if __name__ == "__main__":
    logging.basicConfig(
        format="%(asctime)s.%(msecs)s:%(name)s:%(thread)d:%(levelname)s:%(process)d:%(message)s",
        level=logging.INFO,
    )
    main()

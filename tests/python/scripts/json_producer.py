#!/usr/bin/env python
import json
from time import sleep

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=["localhost:9092"],
    value_serializer=lambda x: json.dumps(x).encode("utf-8"),
)

for e in range(10):
    data = {"number": e}
    producer.send("numtest", value=data)
    sleep(0.01)

"""Follow a topic live: print partition, offset, key and value of each record.

    brokerless run examples/follow.py

A plain kafka-python program. Stop it with Ctrl-C and start it again: it goes on where
it was, because its group's offsets are committed. Start it twice, and the two share the
partitions.
"""

import argparse
import signal
import time

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener


class Tell(ConsumerRebalanceListener):
    """Says which partitions the group has given to this program."""

    def on_partitions_revoked(self, revoked) -> None:
        pass

    def on_partitions_assigned(self, assigned) -> None:
        numbers = sorted(partition.partition for partition in assigned)
        print(f"has partitions {numbers}", flush=True)


def follow(consumer: KafkaConsumer, show: bool) -> None:
    count, shown = 0, time.perf_counter()
    for message in consumer:
        if count == 0:
            print(f"begins at {message.partition}:{message.offset}", flush=True)
        count += 1
        if show:
            key = (message.key or b"").decode(errors="replace")
            value = (message.value or b"").decode(errors="replace").rstrip()
            print(f"{message.partition}:{message.offset}\t{key}\t{value}", flush=True)
        elif time.perf_counter() - shown >= 1:
            print(f"{count:,} records so far", flush=True)
            shown = time.perf_counter()
    print(f"stopped after {count:,} records", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Follow a topic live.")
    parser.add_argument("topic", nargs="?", default="lines")
    parser.add_argument("--group", default="follow")
    parser.add_argument("--quiet", action="store_true", help="only count the records")
    parser.add_argument("--idle", type=float, default=float("inf"), help="stop after idle ms")
    args = parser.parse_args()

    consumer = KafkaConsumer(
        bootstrap_servers="localhost:9092",
        group_id=args.group,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,  # the producer decides on the partitions
        consumer_timeout_ms=args.idle,
    )
    consumer.subscribe([args.topic], listener=Tell())
    print(f"follows {args.topic}", flush=True)
    # Ctrl-C closes it: that commits what was read and ends the loop, between two records.
    signal.signal(signal.SIGINT, lambda *_: consumer.close())
    follow(consumer, show=not args.quiet)
    consumer.close()


if __name__ == "__main__":
    main()

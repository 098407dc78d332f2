"""Read a topic again, from a point in time to its end.

    python examples/replay.py 10m                    # the last ten minutes
    python examples/replay.py 2026-01-31T12:00       # from then on

Imports brokerless itself, so it needs no `brokerless run`.
"""

import argparse
import re
import time
from datetime import datetime

from brokerless import KafkaConsumer, TopicPartition

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def milliseconds(text: str) -> int:
    """The moment that `10m`, `2026-01-31T12:00` or a number of milliseconds means."""
    if text.isdigit():
        return int(text)
    ago = re.fullmatch(r"(\d+)([smhd])", text)
    if ago:
        return int((time.time() - int(ago[1]) * SECONDS[ago[2]]) * 1000)
    return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description="Read a topic again from a point in time.")
    parser.add_argument("since", nargs="?", type=milliseconds, default="1m")
    parser.add_argument("--topic", default="lines")
    parser.add_argument("--quiet", action="store_true", help="only count the records")
    args = parser.parse_args()

    with KafkaConsumer(bootstrap_servers="localhost:9092") as consumer:
        parts = [TopicPartition(args.topic, p) for p in consumer.partitions_for_topic(args.topic)]
        found = consumer.offsets_for_times(dict.fromkeys(parts, args.since))
        ends = consumer.end_offsets(parts)
        consumer.assign(parts)
        for part in parts:
            place = found[part]
            consumer.seek(part, place.offset if place else ends[part])

        start, count = time.perf_counter(), 0
        while any(consumer.position(part) < ends[part] for part in parts):
            for records in consumer.poll(timeout_ms=1000).values():
                count += len(records)
                if not args.quiet:
                    for record in records:
                        print(f"{record.timestamp}\t{record.partition}:{record.offset}")
        seconds = time.perf_counter() - start
    print(f"replayed {count:,} records in {seconds:.2f} s: {count / seconds:,.0f} records/s")


if __name__ == "__main__":
    main()

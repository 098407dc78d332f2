"""Ctrl-C in each call that may wait: a real signal to a real process, which waits for a minute."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PREPARED = """
import os, sys
from brokerless import *
from brokerless import OffsetAndMetadata
from brokerless.admin import KafkaAdminClient, NewTopic

T0 = TopicPartition("t", 0)
producer = KafkaProducer(acks=1, linger_ms=0, buffer_memory=5000, max_block_ms=60000)
consumer = KafkaConsumer(group_id="g", enable_auto_commit=False)

def say(word):
    print(word, flush=True)

def main():
    {prepare}
    say("ready")
    # The parent takes its lock now.
    sys.stdin.readline()
    say("calling")
    try:
        {call}
    except KeyboardInterrupt:
        say("interrupted")
    else:
        say("returned")
    os._exit(0)

main()
"""

SEND = "producer.send('t', b'x', partition=0)"

# What is called, after what, while this folder's lock is held.
CASES = {
    "poll": ("consumer.assign([T0])", "consumer.poll(60000)", ""),
    "iteration": ("consumer.assign([T0])", "next(consumer)", ""),
    "rebalance": (
        "other, mine = [KafkaConsumer('t', group_id='h') for _ in 'ab']; other.poll(1000)",
        "mine.poll(60000)",
        "",
    ),
    "get": ("pass", SEND + ".get(60)", "t-0"),
    "flush": ("pass", SEND + "; producer.flush(60)", "t-0"),
    "close": ("pass", SEND + "; producer.close(60)", "t-0"),
    "send": ("pass", "[producer.send('t', bytes(1000), partition=0) for _ in range(9)]", "t-0"),
    "first_send": ("pass", "producer.send('new', b'x')", "."),
    "partitions_for": ("pass", "producer.partitions_for('new')", "."),
    "commit": ("consumer.assign([T0])", "consumer.commit({T0: OffsetAndMetadata(0, '')})", "."),
    "create": ("pass", "KafkaAdminClient().create_topics([NewTopic('new', 1, 1)])", "."),
    "position": ("consumer.assign([T0])", "consumer.position(T0)", "t-0"),
    "end_offsets": ("pass", "consumer.end_offsets([T0])", "t-0"),
}


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c_ends_the_wait(case: str, topic: str, directory: Path) -> None:
    prepare, call, folder = CASES[case]
    program = PREPARED.format(prepare=prepare, call=call)
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    held = -1
    try:
        assert child.stdout.readline() == "ready\n"
        if folder:
            held = os.open(directory / folder, os.O_RDONLY)
            fcntl.flock(held, fcntl.LOCK_EX)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "calling\n"
        time.sleep(0.5)
        assert child.poll() is None, "it did not wait"

        child.send_signal(signal.SIGINT)

        # Far less than the minute that the call may take.
        out, _ = child.communicate(timeout=20)
        assert out == "interrupted\n"
    finally:
        child.kill()
        child.wait()
        if held >= 0:
            os.close(held)

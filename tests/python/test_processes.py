"""Programs as real processes: sloppy endings, Ctrl-C, forks, threads, several at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless import ConsumerRecord, KafkaConsumer, KafkaProducer, TopicPartition

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]
Read = Callable[..., list[ConsumerRecord]]

SEND = """
import sys, os, threading
from kafka import KafkaProducer
producer = KafkaProducer(bootstrap_servers="localhost:9092", value_serializer=str.encode)
for n in range(1000):
    producer.send("t", str(n))
"""

# How programs end that never call flush, close or get, and what they exit with.
ENDINGS = {
    "just-ends": ("", 0),
    "linger": ("producer.config; del producer", 0),
    "sys-exit": ("sys.exit(3)", 3),
    "exception": ("raise RuntimeError('oh')", 1),
    "keyboard-interrupt": ("raise KeyboardInterrupt", -signal.SIGINT),
    "exit-in-function": ("def main():\n    raise SystemExit(4)\nmain()", 4),
    "module-global": ("keep = [producer]; keep.append(keep)", 0),
    "send-in-atexit": ("import atexit; atexit.register(producer.send, 't', '1000')", 0),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sloppy_program_loses_nothing(run: Run, write: Write, read: Read, ending: str) -> None:
    code, status = ENDINGS[ending]

    process = run(write(SEND + code))

    assert process.returncode == status, process.stderr
    count = 1001 if ending == "send-in-atexit" else 1000
    assert [r.value for r in read("t")] == [b"%d" % n for n in range(count)]


def test_a_program_that_lingers_loses_nothing(run: Run, write: Write, read: Read) -> None:
    code = SEND.replace("str.encode", "str.encode, linger_ms=60000, acks=0")

    assert run(write(code)).returncode == 0
    assert len(read("t")) == 1000


def test_a_thread_that_outlives_the_main_program_may_send(
    run: Run, write: Write, read: Read
) -> None:
    code = """
def work():
    import time
    time.sleep(0.3)
    producer.send("t", "late")
threading.Thread(target=work).start()
"""
    assert run(write(SEND + code)).returncode == 0
    assert len(read("t")) == 1001


def test_callbacks_still_run_when_a_program_just_ends(run: Run, write: Write) -> None:
    code = "producer.send('t', 'x').add_callback(lambda m: print('stored at', m.offset))"

    assert run(write(SEND + code)).stdout == "stored at 1000\n"


def test_a_killed_program_has_stored_what_was_acknowledged(
    write: Write, read: Read, tmp_path: Path
) -> None:
    code = """
while True:
    print(producer.send("t", "x").get().offset, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-m", "brokerless", "run", str(write(SEND + code))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    acknowledged = [process.stdout.readline() for _ in range(20)]
    process.kill()
    acknowledged += process.communicate()[0].splitlines(keepends=True)
    last = [int(line) for line in acknowledged if line.endswith("\n")][-1]

    offsets = [r.offset for r in read("t")]
    assert offsets == list(range(len(offsets)))
    assert len(offsets) > last

    with KafkaProducer() as producer:
        assert producer.send("t", b"next").get(10).offset == len(offsets)


WAITING = {
    "poll": "consumer.poll(600_000)",
    "poll-loop": "while True: consumer.poll(100)",
    "iteration": "for message in consumer: pass",
    "next": "next(consumer)",
    "get": "producer.send('t', b'v', partition=0).get()",
    "get-timeout": "producer.send('t', b'v', partition=0).get(timeout=600)",
    "flush": "producer.send('t', b'v', partition=0); producer.flush()",
    "thread-poll": (
        "import threading\n"
        "t = threading.Thread(target=lambda: consumer.poll(600_000), daemon=True)\n"
        "t.start()\nt.join()"
    ),
}


@pytest.mark.parametrize("waiting", ["get()", "get(timeout=600)"])
def test_ctrl_c_interrupts_while_another_process_holds_the_partition(
    write: Write, read: Read, directory: Path, waiting: str
) -> None:
    fcntl = pytest.importorskip("fcntl")
    with KafkaProducer() as producer:
        producer.send("t", b"first").get(10)
    script = write(
        f"""
from kafka import KafkaProducer
producer = KafkaProducer()
future = producer.send("t", b"second")
print("ready", flush=True)
try:
    future.{waiting}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    )
    folder = os.open(directory / "t-0", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)

    assert process.stdout.readline() == "interrupted\n"
    os.close(folder)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert [r.value for r in read("t")] == [b"first", b"second"]


def start(script: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "brokerless", "run", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("waiting", WAITING)
def test_ctrl_c_interrupts_at_once(write: Write, waiting: str) -> None:
    code = WAITING[waiting]
    if "get" in waiting or "flush" in waiting:
        # A batch that lingers for long: nobody may wait for it longer than the user does.
        code = "producer.config\n" + code
    script = write(
        f"""
from kafka import KafkaConsumer, KafkaProducer
producer = KafkaProducer(linger_ms=100_000)
producer.partitions_for("t")
consumer = KafkaConsumer("t", group_id="g")
print("ready", flush=True)
try:
    {code.replace(chr(10), chr(10) + "    ")}
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise
"""
    )
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    if process.poll() is not None and waiting in ("get", "get-timeout", "flush"):
        process.communicate()
        pytest.skip("a wait sends what lingers")

    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)

    assert "interrupted" in printed, errors
    assert process.returncode == -signal.SIGINT


def test_a_signal_handler_runs_while_poll_waits(write: Write) -> None:
    script = write(
        """
import signal
from kafka import KafkaConsumer
consumer = KafkaConsumer("t")
handled = []
signal.signal(signal.SIGUSR1, lambda *args: (handled.append(1), consumer.close()))
print("ready", flush=True)
for message in consumer:
    pass
print("handled", handled, flush=True)
"""
    )
    process = start(script)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR1)
    printed, errors = process.communicate(timeout=20)

    assert printed == "handled [1]\n", errors


def test_ctrl_c_then_close_commits_what_was_handled(write: Write) -> None:
    with KafkaProducer() as producer:
        for n in range(10):
            producer.send("t", b"%d" % n)
    script = write(
        """
from kafka import KafkaConsumer
consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest")
try:
    for message in consumer:
        print(message.offset, flush=True)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
"""
    )
    for expected in (range(10), ()):
        process = start(script)
        assert process.stdout is not None
        assert [int(process.stdout.readline()) for _ in expected] == list(expected)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=20)
        assert (printed, process.returncode) == ("", 0), errors


def test_membership_dies_with_the_process(write: Write) -> None:
    with KafkaProducer() as producer:
        producer.send("t", b"v")
    script = write(
        """
from kafka import KafkaConsumer
consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest")
print(next(consumer).offset, flush=True)
consumer.poll(600_000)
"""
    )
    process = start(script)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    process.kill()
    process.communicate()

    with KafkaConsumer("t", group_id="g", auto_offset_reset="earliest") as consumer:
        assert next(consumer).offset == 0


def test_writers_and_a_reader_in_processes_of_their_own(write: Write, read: Read) -> None:
    writer = write(
        """
import sys
from kafka import KafkaProducer
producer = KafkaProducer(acks=1)
for n in range(2000):
    producer.send("t", b"%d" % n, key=sys.argv[1].encode(), partition=0)
""",
        "writer.py",
    )
    reader = start(
        write(
            """
from kafka import KafkaConsumer
consumer = KafkaConsumer("t", auto_offset_reset="earliest")
for count, message in enumerate(consumer):
    assert message.offset == count, (message.offset, count)
    if count == 7999:
        break
print("all")
""",
            "reader.py",
        )
    )
    command = [sys.executable, "-m", "brokerless", "run", str(writer)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]

    assert [process.wait(60) for process in writers] == [0] * 4
    printed, errors = reader.communicate(timeout=60)
    assert printed == "all\n", errors
    records = read("t")
    for number in range(4):
        mine = [r.value for r in records if r.key == b"%d" % number]
        assert mine == [b"%d" % n for n in range(2000)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("side", ["producer", "consumer"])
def test_a_client_from_before_a_fork_raises_in_the_child(
    run: Run, write: Write, read: Read, side: str
) -> None:
    code = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import IllegalStateError
producer = KafkaProducer()
consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest")
producer.send("t", b"parent 1")
producer.flush()
child = os.fork()
if child == 0:
    try:
        {"producer.send('t', b'child')" if side == "producer" else "consumer.poll(100)"}
    except IllegalStateError as error:
        print("child:", error, flush=True)
    with KafkaProducer() as mine:
        mine.send("t", b"child's own")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
producer.send("t", b"parent 2").get(10)
print([m.value for m in (next(consumer), next(consumer), next(consumer))], flush=True)
"""
    process = run(write(code))

    assert process.returncode == 0, process.stderr
    assert "child: " in process.stdout
    assert "fork" in process.stdout
    assert [r.value for r in read("t")] == [b"parent 1", b"child's own", b"parent 2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_every_method_of_a_consumer_from_before_a_fork_raises_in_the_child(
    run: Run, write: Write
) -> None:
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import IllegalStateError
with KafkaProducer() as producer:
    for n in range(10):
        producer.send("t", b"%d" % n)
tp = TopicPartition("t", 0)
consumer = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest")
next(consumer)
calls = [
    lambda: next(consumer), lambda: consumer.poll(100), lambda: consumer.position(tp),
    consumer.assignment, consumer.subscription, consumer.paused, consumer.metrics,
    consumer.commit, lambda: consumer.committed(tp), lambda: consumer.seek(tp, 5),
    consumer.seek_to_beginning, consumer.seek_to_end, lambda: consumer.pause(tp),
    lambda: consumer.resume(tp), lambda: consumer.assign([tp]), lambda: consumer.subscribe("t"),
    consumer.unsubscribe, consumer.topics, lambda: consumer.partitions_for_topic("t"),
    lambda: consumer.end_offsets([tp]), lambda: consumer.beginning_offsets([tp]),
    lambda: consumer.offsets_for_times({tp: 0}), lambda: consumer.highwater(tp),
]
child = os.fork()
if child == 0:
    for number, call in enumerate(calls):
        try:
            print("gave", number, call())
        except IllegalStateError as error:
            assert "fork" in str(error)
    print(repr(consumer)[:14], consumer.bootstrap_connected())
    consumer.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
print(next(consumer).offset, consumer.bootstrap_connected())
"""
    process = run(write(code))

    assert process.returncode == 0, process.stderr
    assert process.stdout == "<KafkaConsumer False\n1 True\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_make_their_own_producers(
    run: Run, write: Write, read: Read, method: str
) -> None:
    code = f"""
import multiprocessing, warnings
warnings.simplefilter("ignore")
from kafka import KafkaProducer

def work(number):
    producer = KafkaProducer(bootstrap_servers="localhost:9092")
    for n in range(100):
        producer.send("t", b"%d %d" % (number, n), key=b"%d" % number)
    producer.close()
    return number

if __name__ == "__main__":
    first = KafkaProducer()
    first.send("t", b"first").get(10)
    with multiprocessing.get_context({method!r}).Pool(3) as pool:
        print(sorted(pool.map(work, range(6))))
    first.send("t", b"last")
"""
    process = run(write(code))

    assert process.stdout == "[0, 1, 2, 3, 4, 5]\n", process.stderr
    records = read("t")
    assert len(records) == 602
    for number in range(6):
        mine = [r.value for r in records if r.key == b"%d" % number]
        assert mine == [b"%d %d" % (number, n) for n in range(100)]


CHILDREN = {
    "processes": """
        workers = [context.Process(target=work, args=(n,)) for n in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 3
""",
    "pool": """
        with context.Pool(3) as pool:
            pool.map(work, range(3))
            pool.close()
            pool.join()
""",
    "executor": """
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(3, context) as executor:
            list(executor.map(work, range(3)))
""",
    "process-of-process": """
        parent = context.Process(target=fork, args=(0,))
        parent.start()
        parent.join()
        for n in (1, 2):
            fork(n)
""",
    "thread": """
        workers = [context.Process(target=thread, args=(n,)) for n in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
""",
}


@pytest.mark.parametrize("how", CHILDREN)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_that_just_ends_loses_nothing(
    run: Run, write: Write, read: Read, directory: Path, method: str, how: str
) -> None:
    code = f"""
import multiprocessing, threading, time, warnings
warnings.simplefilter("ignore")
from kafka import KafkaProducer
context = multiprocessing.get_context({method!r})
kept = []

def work(number):
    producer = KafkaProducer(linger_ms=60_000)
    kept.append(producer)
    for n in range(100):
        producer.send("t", b"%d %d" % (number, n), key=b"%d" % number)

def fork(number):
    kept.append(KafkaProducer())
    child = context.Process(target=work, args=(number,))
    child.start()
    child.join()

def later(number):
    time.sleep(0.3)
    work(number)

def thread(number):
    kept.append(KafkaProducer())
    threading.Thread(target=later, args=(number,)).start()

if __name__ == "__main__":
    if True:{CHILDREN[how]}
"""
    process = run(write(code))

    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    if how == "process-of-process":  # where several end at once, each may think it is not the last
        assert (directory / ".kafka_cleanshutdown").exists()
    values = [r.value for r in read("t")]
    assert len(values) == 300
    assert set(values) == {b"%d %d" % (p, n) for p in range(3) for n in range(100)}


def test_a_fork_that_ends_by_os_exit_harms_nobody(run: Run, write: Write, read: Read) -> None:
    code = """
import os, warnings
warnings.simplefilter("ignore")
for round in range(5):
    producer.send("t", f"before {round}")
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    producer.send("t", f"after {round}")
"""
    process = run(write(SEND + code))

    assert process.returncode == 0, process.stderr
    expected = [f"{when} {n}".encode() for n in range(5) for when in ("before", "after")]
    assert [r.value for r in read("t")][1000:] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forks_in_the_middle_of_all_that_goes_on_harm_nobody(
    run: Run, write: Write, read: Read
) -> None:
    code = """
import os, threading, warnings
warnings.simplefilter("ignore")
from kafka import KafkaConsumer, KafkaProducer
producer = KafkaProducer(acks=1)
member = KafkaConsumer("t", group_id="g", auto_offset_reset="earliest", heartbeat_interval_ms=10)
sent = []
enough = threading.Event()
def send():
    n = 0
    while not enough.is_set() or n < 200:
        sent.append(producer.send("t", b"parent %d" % n).get(30).offset)
        n += 1
thread = threading.Thread(target=send)
thread.start()
seen = []
for number in range(12):
    child = os.fork()
    if child == 0:
        if number % 2:
            with KafkaProducer(acks=1) as own:
                own.send("t", b"child %d" % number).get(30)
        os._exit(0)
    seen += [r.value for some in member.poll(1000).values() for r in some]
    assert os.waitpid(child, 0)[1] == 0
enough.set()
thread.join()
producer.close()
while len(seen) < len(sent) + 6:
    seen += [r.value for some in member.poll(20000).values() for r in some]
member.close()
assert len(set(sent)) == len(sent)
print(sorted(v for v in seen if v.startswith(b"child")), len(seen) == len(sent) + 6)
"""
    process = run(write(code), timeout=120)

    assert process.returncode == 0, process.stderr
    children = sorted(b"child %d" % number for number in range(1, 12, 2))
    assert process.stdout == f"{children} True\n"
    values = [r.value for r in read("t")]
    mine = [value for value in values if value.startswith(b"parent")]
    assert mine == [b"parent %d" % n for n in range(len(mine))]
    assert len(values) == len(mine) + 6


def test_the_same_directory_by_two_names_is_one(directory: Path, read: Read) -> None:
    link = directory.with_name("link")
    directory.mkdir()
    link.symlink_to(directory)
    with (
        KafkaProducer(bootstrap_servers=str(link)) as producer,
        KafkaConsumer("t", bootstrap_servers=directory.as_uri()) as consumer,
    ):
        consumer.poll(0)
        producer.send("t", b"v")
        assert consumer.poll(5000)[TopicPartition("t", 0)]


def test_daemon_threads_in_functions_of_the_user_do_not_abort_a_program(
    run: Run, write: Write
) -> None:
    code = """
import sys, threading, time
from kafka import KafkaConsumer, KafkaProducer
producer = KafkaProducer()
for number in range(5000):
    producer.send("t", b"v")
producer.flush()

def slow(data):
    for _ in range(1000):
        pass
    return data

def read():
    while True:
        settings = dict(auto_offset_reset="earliest", consumer_timeout_ms=100)
        for message in KafkaConsumer("t", value_deserializer=slow, **settings):
            pass

def send():
    producer = KafkaProducer(value_serializer=slow)
    while True:
        producer.send("u", b"v").add_callback(slow)

for work in (read, read, send):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
sys.exit(3)
"""
    process = run(write(code), timeout=20)

    assert process.returncode == 3, process.stderr


@pytest.mark.parametrize("status", [0, 3])
def test_daemon_threads_that_never_stop_do_not_keep_a_program(
    run: Run, write: Write, status: int
) -> None:
    code = f"""
import sys, threading, time
from kafka import KafkaConsumer, KafkaProducer
producer = KafkaProducer(buffer_memory=2_000_000)

def send():
    while True:
        producer.send("t", b"v").add_callback(lambda metadata: None)

def get():
    while True:
        producer.send("t", b"v").get()

def iterate():
    for message in KafkaConsumer("t"):
        pass

def poll():
    consumer = KafkaConsumer("t", group_id="g")
    while True:
        consumer.poll(1000)

for work in (send, get, iterate, poll):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
sys.exit({status})
"""
    process = run(write(code), timeout=20)

    # A thread that still sends when all is closed may be told so.
    assert process.returncode == status, process.stderr
    assert "Fatal" not in process.stderr

"""`brokerless run` against plain `python`, on the same programs."""

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from brokerless.standin import MODULES

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]


@pytest.fixture
def plain(tmp_path: Path) -> Run:
    """Runs `python ARGS`."""

    def plain(*args: object, **options: object) -> object:
        return subprocess.run(
            [sys.executable, *map(str, args)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
            **options,  # type: ignore[call-overload]
        )

    return plain  # type: ignore[return-value]


def outcome(process: "subprocess.CompletedProcess[str]") -> tuple[int, str, str]:
    return process.returncode, process.stdout, process.stderr


SHOW = """
import sys
print(__name__, __file__, __package__, __cached__, __doc__, __annotations__)
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
print(getattr(__spec__, "name", None), type(__loader__).__name__, __builtins__)
"""


def test_a_script_sees_what_plain_python_shows_it(run: Run, plain: Run, write: Write) -> None:
    script = write('"""Doc."""\n' + SHOW, "sub/show.py")

    ours, theirs = run(script, "a", "-m", "--b"), plain(script, "a", "-m", "--b")

    assert outcome(ours) == outcome(theirs)
    assert ours.returncode == 0


def test_a_script_by_a_relative_path_and_a_link(run: Run, plain: Run, write: Write) -> None:
    script = write(SHOW, "sub/show.py")
    link = script.parent.parent / "link.py"
    link.symlink_to(script)

    for path in ("sub/show.py", "link.py", "sub/../link.py"):
        assert outcome(run(path, 1)) == outcome(plain(path, 1))


def test_a_module_sees_what_plain_python_shows_it(run: Run, plain: Run, write: Write) -> None:
    write(SHOW, "package/__main__.py")
    write("", "package/__init__.py")
    write(SHOW, "package/part.py")

    for name in ("package", "package.part"):
        assert outcome(run("-m", name, "-x", "1")) == outcome(plain("-m", name, "-x", "1"))


def test_code_sees_what_plain_python_shows_it(run: Run, plain: Run) -> None:
    code = "import sys; print(sys.argv, repr(sys.path[0]), __name__, __spec__, __loader__)"

    assert outcome(run("-c", code, "-x")) == outcome(plain("-c", code, "-x"))


def test_standard_input_may_be_the_program(run: Run, plain: Run) -> None:
    code = "import sys; print(sys.argv, __file__)"

    assert outcome(run("-", "x", input=code)) == outcome(plain("-", "x", input=code))


def test_a_folder_and_a_zip_file_with_main(run: Run, plain: Run, write: Write) -> None:
    script = write(SHOW, "folder/__main__.py")
    with zipfile.ZipFile(script.parent.parent / "file.zip", "w") as file:
        file.write(script, "__main__.py")

    for path in ("folder", "file.zip"):
        assert outcome(run(path)) == outcome(plain(path))


ENDINGS = {
    "return": "pass",
    "exit": "import sys; sys.exit(7)",
    "exit-text": "import sys; sys.exit('why')",
    "exit-none": "raise SystemExit",
    "raise": "def f():\n    raise ValueError(1)\nf()",
    "chain": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise KeyError(1)",
    "cause": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError(1) from e",
    "syntax": "x = (",
    "syntax-inside": "exec('x = (')",
    "interrupt": "raise KeyboardInterrupt",
    "atexit": "import atexit; atexit.register(print, 'bye'); 1 / 0",
    "excepthook": "import sys; sys.excepthook = lambda *a: print('mine', a[0]); 1 / 0",
    "thread": "import threading; threading.Thread(target=lambda: print(__name__)).start()",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_ends_as_with_plain_python(
    run: Run, plain: Run, write: Write, ending: str
) -> None:
    script = write(ENDINGS[ending])

    assert outcome(run(script)) == outcome(plain(script))


def test_a_module_that_fails_shows_its_own_frames_only(run: Run, write: Write) -> None:
    write("1 / 0", "failing.py")

    shown = run("-m", "failing").stderr

    assert shown.count("File ") == 1
    assert "failing.py" in shown


@pytest.mark.parametrize("args", [["nowhere.py"], ["-m", "nowhere"], ["-m", "no.where"]])
def test_what_is_not_there_is_said(run: Run, plain: Run, args: list[str]) -> None:
    ours, theirs = run(*args), plain(*args)

    assert ours.returncode == theirs.returncode
    assert len(ours.stderr.splitlines()) == 1
    assert "nowhere" in ours.stderr or "no.where" in ours.stderr


@pytest.mark.parametrize("args", [[], ["-x"], ["-m"], ["-c"]])
def test_a_wrong_command_line_shows_the_right_ones(run: Run, args: list[str]) -> None:
    process = run(*args)

    assert process.returncode == 2
    assert "brokerless run [--dir DIR] -m module" in process.stderr


@pytest.mark.parametrize(
    "option", [["--dir", "here"], ["--dir=here"], ["--dir", "file://{}/here"]], ids=" ".join
)
def test_the_directory_can_be_chosen(run: Run, tmp_path: Path, option: list[str]) -> None:
    code = "import os; print(os.environ['BROKERLESS_DIR'])"

    shown = run(*(it.format(tmp_path) for it in option), "-c", code)

    assert shown.stdout.strip() == str(tmp_path / "here")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_a_program_as_with_plain_python(write: Write, tmp_path: Path) -> None:
    script = write("import time\nprint('ready', flush=True)\ntime.sleep(60)")
    for command in ([], ["-m", "brokerless", "run"]):
        process = subprocess.Popen(
            [sys.executable, *command, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=20)
        assert process.returncode == -signal.SIGINT
        assert shown.endswith("KeyboardInterrupt\n")
        assert "run.py" not in shown


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_kafka_python_can_be_imported(run: Run, module: str) -> None:
    process = run("-c", f"import {module} as m; from {module} import *; print(m.__name__)")

    assert outcome(process) == (0, module + "\n", "")


IMPORTS = """
import kafka
import kafka.errors as Errors
from kafka import (
    ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer,
    OffsetAndMetadata, TopicPartition, Serializer, Deserializer, IsolationLevel,
)
from kafka.admin import (
    ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic,
)
from kafka.admin.new_topic import NewTopic as T
from kafka.common import KafkaError, TopicPartition as Old, ConnectionError
from kafka.consumer.fetcher import ConsumerRecord
from kafka.consumer.group import KafkaConsumer as C
from kafka.consumer.subscription_state import ConsumerRebalanceListener as L
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.coordinator.assignors.sticky.user_data import StickyAssignorUserData
from kafka.coordinator.protocol import ConsumerProtocolMemberMetadata_v0
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription
from kafka.errors import KafkaError as E, KafkaTimeoutError, NoBrokersAvailable
from kafka.partitioner import DefaultPartitioner, murmur2
from kafka.partitioner.default import DefaultPartitioner as D
from kafka.producer.future import FutureRecordMetadata, RecordMetadata
from kafka.producer.kafka import KafkaProducer as P
from kafka.serializer import Deserializer, Serializer
from kafka.structs import OffsetAndMetadata, OffsetAndTimestamp, TopicPartition as S
assert Old is S is TopicPartition and C is KafkaConsumer and P is KafkaProducer and E is KafkaError
assert L is ConsumerRebalanceListener and T is NewTopic and D is DefaultPartitioner
assert kafka.structs.TopicPartition is S and kafka.consumer.fetcher.ConsumerRecord is ConsumerRecord
assert Errors.KafkaError is kafka.errors.KafkaError
assert KafkaProducer.__module__.startswith("brokerless")
assert int(kafka.__version__.split(".")[0]) >= 2 and kafka.version.__version__ == kafka.__version__
assert not hasattr(kafka, "nothing")
"""


def test_the_imports_of_public_programs_work(run: Run, write: Write) -> None:
    assert outcome(run(write(IMPORTS))) == (0, "", "")


def test_a_name_that_is_not_there_is_an_import_error(run: Run) -> None:
    for code in ("from kafka import SimpleProducer", "import kafka.client"):
        process = run("-c", code)
        assert process.returncode == 1
        assert "Error: " in process.stderr


def test_a_programs_own_kafka_module_comes_first(run: Run, write: Write) -> None:
    write("mine = True", "kafka.py")

    assert run(write("import kafka; print(kafka.mine)")).stdout == "True\n"


def test_an_installed_kafka_python_is_hidden_but_not_touched(run: Run, write: Write) -> None:
    installed = write("theirs = True", "site/kafka/__init__.py").parent.parent
    code = f"import sys; sys.path.append({str(installed)!r}); import kafka; print(kafka.__file__)"

    assert "_standin" in run("-c", code).stdout
    assert sorted(p.name for p in (installed / "kafka").iterdir()) == ["__init__.py"]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_that_multiprocessing_starts_have_it_too(
    run: Run, write: Write, method: str
) -> None:
    script = write(
        f"""
import multiprocessing
from kafka import TopicPartition

def work(queue):
    import kafka
    queue.put((kafka.__file__, TopicPartition("t", 1)))

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=30))
    process.join()
"""
    )

    process = run(script)

    assert process.returncode == 0, process.stderr
    assert "_standin" in process.stdout
    assert "TopicPartition(topic='t', partition=1)" in process.stdout


def test_where_it_is_can_be_asked(directory: Path, plain: Run) -> None:
    assert plain("-m", "brokerless", "where").stdout.strip() == str(directory)

    folder = plain("-m", "brokerless", "where", "--standin").stdout.strip()
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    shown = plain(
        "-c", "import kafka; print(kafka.__file__)", env={**os.environ, "PYTHONPATH": path}
    )
    assert shown.stdout.startswith(folder)


def test_the_names_of_kafka_are_listed(run: Run, write: Write) -> None:
    code = """
import kafka
print({"KafkaConsumer", "KafkaProducer", "TopicPartition", "KafkaAdminClient"} <= set(dir(kafka)))
"""
    process = run(write(code))

    assert process.stdout == "True\n", process.stderr

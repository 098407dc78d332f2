"""How commands of `brokerless` end: errors, exit codes, closed pipes, Ctrl-C, a full output."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import brokerless

Command = Callable[..., "subprocess.CompletedProcess[bytes]"]
Start = Callable[..., "subprocess.Popen[bytes]"]

READING = [["topics", "list"], ["consume", "t"], ["export"], ["topics", "delete", "t"]]


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_what_only_reads_makes_no_directory(
    command: Command, directory: Path, args: list[str]
) -> None:
    done = command(*args)

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"brokerless: there is no directory {directory}\n".encode()
    assert not directory.exists()


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_a_directory_of_something_else_is_left_alone(
    command: Command, directory: Path, args: list[str]
) -> None:
    directory.mkdir()
    (directory / "letter.txt").write_text("Dear Sir")

    done = command(*args)

    assert done.returncode == 1
    assert done.stderr == f"brokerless: {directory} is no data directory\n".encode()
    assert [path.name for path in directory.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "args", [["consume", "ordrs"], ["export", "ordrs"], ["topics", "delete", "ordrs"]], ids=" ".join
)
def test_a_topic_that_is_not_there_is_said_and_not_made(
    command: Command, directory: Path, args: list[str]
) -> None:
    command("produce", "orders", input=b"x\n")

    done = command(*args)

    assert (done.returncode, done.stdout) == (1, b"")
    where = f"there is no topic 'ordrs' in {directory}; did you mean 'orders'?"
    assert done.stderr == f"brokerless: {where}\n".encode()
    assert command("topics", "list").stdout == b"orders\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["prodce"], "No such command 'prodce'. Did you mean 'produce'?"),
        (["--nonsense"], "No such option"),
        (["topics", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["topics", "create"], "Missing argument"),
        (["where", "--path", "--json"], "give one of --path, --standin and --json"),
        (["where", "much"], "Got unexpected extra argument (much)"),
        (["topics", "list", "--dir", ""], "--dir is empty"),
        (["topics", "list", "--dir", "s3://b"], "--dir='s3://b': a directory is a path"),
        (["run", "--dir", "", "-c", "print(1)"], "--dir is empty"),
        (["run", "--dir=s3://b", "-c", "print(1)"], "--dir='s3://b': a directory is a path"),
        (["produce", "t", "--whole"], "--whole needs FILES"),
    ],
)
def test_wrong_arguments_exit_with_2_and_one_line(
    command: Command, args: list[str], said: str
) -> None:
    done = command(*args)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"brokerless: {said}")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_command_the_commands_are_shown(command: Command) -> None:
    for args in ([], ["--help"], ["-h"]):
        done = command(*args)
        assert (done.returncode, done.stderr) == (0, b"")
        for name in ("topics", "produce", "consume", "export", "import", "where", "run"):
            assert f"\n  {name} ".encode() in done.stdout


def test_the_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version").stdout.decode().strip() == brokerless.__version__


def commands_of(command: Command, *path: str) -> list[list[str]]:
    """Every command there is, as its help says."""
    shown = command(*path, "--help").stdout.decode()
    if "\nCommands:\n" not in shown:
        return [list(path)]
    lines = shown.split("\nCommands:\n")[1].split("\n\n")[0].splitlines()
    names = [line.split()[0] for line in lines if line[2:3] != " "]
    return [found for name in names for found in commands_of(command, *path, name)]


def test_every_command_has_a_help_page_and_takes_a_directory(command: Command) -> None:
    found = commands_of(command)

    assert len(found) >= 10
    for path in found:
        done = command(*path, "--help")
        assert (done.returncode, done.stderr) == (0, b"")
        assert path == ["completion"] or b"--dir DIR" in done.stdout, path


def test_the_directory_can_be_chosen_anywhere(command: Command, tmp_path: Path) -> None:
    other = tmp_path / "other"
    command("produce", "t", "--dir", "other", input=b"x\n")

    for args in (
        ["--dir", "other", "topics", "list"],
        ["topics", "--dir", other, "list"],
        ["topics", "list", "--dir", "./other/../other"],
        ["topics", "list", "--dir", f"file://{other}"],
        ["--dir", "elsewhere", "topics", "list", "--dir", "other"],
    ):
        done = command(*args)
        assert (done.returncode, done.stdout) == (0, b"t\n"), args
    code = "import os; print(os.environ['BROKERLESS_DIR'])"
    assert command("--dir", "other", "run", "-c", code).stdout.decode() == f"{other}\n"


@pytest.fixture
def many(command: Command, tmp_path: Path) -> str:
    """A topic with more records than a pipe holds."""
    (tmp_path / "many").write_bytes(b"".join(b"record number %d\n" % it for it in range(100_000)))
    command("produce", "many", "many")
    return "many"


@pytest.mark.parametrize(
    "args",
    [["consume", "many", "--from-beginning"], ["export", "many"], ["consume", "many", "-o0", "-e"]],
    ids=" ".join,
)
def test_a_reader_that_goes_away_ends_it_quietly(start: Start, many: str, args: list[str]) -> None:
    process = start(*args)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.wait(30) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""


@pytest.mark.parametrize("args", [["-o", "latest"], ["-g", "g"], []], ids=" ".join)
def test_a_reader_of_a_quiet_topic_that_goes_away_ends_it_quietly(
    start: Start, many: str, args: list[str]
) -> None:
    process = start("consume", many, *args)
    assert process.stdout is not None
    process.stdout.close()

    assert process.wait(30) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""


@pytest.mark.parametrize(
    "args",
    [
        ["consume", "many", "-o", "0", "-e"],
        ["topics", "list"],
        ["topics", "list", "--long"],
        ["export"],
        ["where"],
        ["--help"],
    ],
    ids=" ".join,
)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such file on this system")
def test_a_full_output_is_an_error(command: Command, many: str, args: list[str]) -> None:
    # Else nothing would be left for the end.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        done = command(*args, stdout=full, env=env)

    assert done.returncode == 1
    assert done.stderr == b"brokerless: cannot write: No space left on device\n"


@pytest.mark.parametrize("args", [["consume", "many", "-o", "0", "-e"], ["export"]], ids=" ".join)
def test_a_closed_output_is_an_error(command: Command, many: str, args: list[str]) -> None:
    shell = 'exec "$@" >&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-m", "brokerless", *args],
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == b"brokerless: the standard output is closed\n"


def test_ctrl_c_ends_a_consumer_quietly(start: Start, command: Command) -> None:
    command("produce", "t", input=b"x\n")
    process = start("consume", "t", "--from-beginning")
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_ctrl_c_at_a_producer_loses_nothing(start: Start, command: Command) -> None:
    process = start("produce", "t", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"one\ntwo\n")
    process.stdin.flush()
    while command("consume", "t", "-o", "0", "-n", "1", "-e").stdout != b"one\n":
        pass

    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    assert command("consume", "t", "-o", "0", "-e").stdout == b"one\ntwo\n"


def test_a_directory_without_the_right_to_write_is_one_line(
    command: Command, directory: Path
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    directory.mkdir(mode=0o500)

    done = command("produce", "t", input=b"x\n")

    assert done.returncode == 1
    assert done.stderr.startswith(b"brokerless: ")
    assert len(done.stderr.splitlines()) == 1


def test_the_package_does_without_the_library_of_the_command_line() -> None:
    code = "import brokerless, brokerless.admin, sys; print('click' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout == b"False\n"


def test_a_program_that_is_run_sees_nothing_of_the_command_line(command: Command) -> None:
    done = command("run", "-c", "import sys; print('click' in sys.modules)")

    assert done.stdout == b"False\n"


@pytest.mark.parametrize("how", [[], ["-g", "g"], ["-p", "0"]], ids=["topic", "group", "partition"])
def test_a_consumer_of_a_topic_that_is_deleted_says_so_and_does_not_make_it_anew(
    command: Command, start: Start, how: list[str]
) -> None:
    command("produce", "t", input=b"x\n")
    process = start("consume", "t", *how, *([] if "-p" in how else ["--from-beginning"]))
    assert process.stdout is not None
    if "-p" not in how:
        assert process.stdout.readline() == b"x\n"
    command("topics", "delete", "t")

    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert said in (
        b"brokerless: topic 't' is gone: somebody deleted it\n",
        b"brokerless: there is no topic 't' in "
        + os.fsencode(os.environ["BROKERLESS_DIR"])
        + b"\n",
    )
    assert b"t\n" not in command("topics", "list").stdout.splitlines(keepends=True)


AT_THE_END = ["consume", "many", "-e"]


@pytest.mark.parametrize(
    "args",
    [
        ["export", "many"],
        ["export", "before", "many"],
        [*AT_THE_END, "--from-beginning"],
        [*AT_THE_END, "-o0"],
        [*AT_THE_END, "--from-beginning", "-g", "g"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("is_made", [False, True], ids=["gone", "anew"])
def test_who_reads_to_the_end_of_a_topic_that_is_deleted_fails_and_does_not_make_it_anew(
    command: Command, start: Start, many: str, args: list[str], is_made: bool
) -> None:
    lines = b"x" * 200 + b"\n"
    command("produce", "before", input=lines * 10_000)
    process = start(*args)
    assert process.stdout is not None
    process.stdout.readline()
    # It waits for the reader of its pipe by now, or will.
    command("topics", "delete", many)
    if is_made:
        command("produce", many, input=b"new\n")

    _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert b"many" in said
    is_there = b"many\n" in command("topics", "list").stdout.splitlines(keepends=True)
    assert is_there == is_made


@pytest.mark.parametrize("deed", ["create", "delete"])
def test_internal_topics_are_neither_created_nor_deleted(command: Command, deed: str) -> None:
    command("produce", "t", input=b"x\n")
    command("consume", "t", "-g", "g", "--from-beginning", "-e")

    done = command("topics", deed, "__consumer_offsets")

    assert done.returncode == 1
    assert b"'__consumer_offsets' is an internal topic" in done.stderr
    assert command("topics", "list").stdout == b"__consumer_offsets\nt\n"


def test_help_pages_show_no_marks_of_their_layout(command: Command) -> None:
    for path in commands_of(command):
        assert b"\\b" not in command(*path, "--help").stdout, path


@pytest.mark.parametrize("group", ["topics", "groups"])
def test_a_group_of_commands_alone_shows_its_help_page(command: Command, group: str) -> None:
    done = command(group)

    assert done.returncode == 2
    assert done.stderr.splitlines() == command(group, "--help").stdout.splitlines()


@pytest.mark.parametrize(
    "line", ["topics list --dir file", "topics --dir file list", "--dir file topics list"]
)
def test_a_file_is_no_directory(command: Command, tmp_path: Path, line: str) -> None:
    (tmp_path / "file").write_text("x")

    done = command(*line.split())

    said = f"brokerless: --dir: {tmp_path / 'file'} is no directory".encode()
    assert (done.returncode, done.stderr.split(b" (see")[0].strip()) == (2, said)


@pytest.mark.parametrize(
    ("args", "code"), [(["export", "many"], 1), (["consume", "many", "-o0", "-e"], 0)]
)
def test_records_that_are_deleted_before_they_are_read_are_said(
    command: Command, start: Start, many: str, args: list[str], code: int
) -> None:
    process = start(*args)
    assert process.stdout is not None
    process.stdout.readline()
    # It waits for the reader of its pipe by now, or will.
    command("topics", "purge", many)

    _, said = process.communicate(timeout=60)

    assert process.returncode == code
    assert said.startswith(b"brokerless: many-0: offsets ")
    assert said.endswith(b" to 99999 were deleted before they were read\n")


# So that those who look after the directory find out first.
BUSY = "log.retention.check.interval.ms=20\nlog.cleaner.backoff.ms=20\n"


@pytest.mark.parametrize("args", [[], ["--group", "g"]])
def test_a_consumer_ends_with_one_line_when_the_directory_is_removed(
    command: Command, start: Start, directory: Path, args: list[str]
) -> None:
    command("produce", "t", input=b"x\n")
    (directory / "brokerless.properties").write_text(BUSY)
    process = start("consume", "t", "--from-beginning", *args)
    assert process.stdout is not None
    assert process.stdout.readline() == b"x\n"
    directory.rename(directory.with_name("elsewhere"))

    _, said = process.communicate(timeout=60)

    gone = f"brokerless: there is no directory {directory}\n"
    assert (process.returncode, said) == (1, gone.encode())


def test_a_reader_of_what_is_there_ends_with_one_line_when_the_directory_is_removed(
    command: Command, start: Start, directory: Path
) -> None:
    command("topics", "create", "t", "-c", "segment.bytes=100000")
    command("produce", "t", input=b"".join(b"%0100d\n" % number for number in range(60_000)))
    process = start("consume", "t", "--from-beginning", "-e")
    assert process.stdout is not None
    process.stdout.readline()
    # It waits for the reader of its pipe by now, or will.
    directory.rename(directory.with_name("elsewhere"))

    _, said = process.communicate(timeout=60)

    gone = f"brokerless: there is no directory {directory}\n"
    assert (process.returncode, said) == (1, gone.encode())


@pytest.mark.parametrize("before", [7, 10])
def test_a_group_says_what_was_deleted_since_it_read_and_goes_on_with_what_is_left(
    command: Command, before: int
) -> None:
    command("produce", "t", input=b"".join(b"%d\n" % number for number in range(10)))
    command("consume", "t", "-g", "g", "--from-beginning", "-n", "5")
    command("topics", "purge", "t", "--before", before)

    done = command("consume", "t", "-g", "g", "-e")
    again = command("consume", "t", "-g", "g", "-e")

    gone = f"offsets 5 to {before - 1} were deleted before they were read"
    assert done.stderr == f"brokerless: t-0: {gone}\n".encode()
    assert done.stdout == b"".join(b"%d\n" % number for number in range(before, 10))
    assert (done.returncode, again.stdout, again.stderr) == (0, b"", b"")


@pytest.mark.parametrize("args", [["where"], ["dump"]], ids=" ".join)
def test_a_folder_of_something_else_is_said(
    command: Command, tmp_path: Path, args: list[str]
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.txt").write_text("Dear Sir")
    folder = ["--dir", "letters"] if args == ["where"] else ["letters"]

    done = command(*args, *folder)

    said = {
        "where": f"brokerless: {tmp_path / 'letters'} is no data directory\n",
        "dump": "letters: it holds no file of a log\n",
    }
    assert (done.returncode, done.stderr.decode()) == (1, said[args[0]])


def test_a_topic_that_may_be_missing_may_miss_its_directory_too(
    command: Command, directory: Path
) -> None:
    done = command("topics", "delete", "--if-exists", "t")

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert not directory.exists()

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_demo_runs_and_finds_everything_unchanged(tmp_path: Path) -> None:
    words = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon"]
    lines = [b"%s line %d\n" % (words[n % 5], n) for n in range(20_000)]
    (tmp_path / "input.log").write_bytes(b"".join(lines))

    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "input.log"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "every line of 5 keys came out as it went in" in demo.stdout
    assert "records/s" in demo.stdout


NOTHING_TO_SEND = {
    "missing.log": "missing.log: no such file or folder",
    "empty.log": "there is not a line in empty.log",
    "folder": "there is not a line in folder",
}


@pytest.mark.parametrize("path", NOTHING_TO_SEND)
def test_the_demo_says_at_once_that_there_is_nothing_to_send(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty.log").touch()
    (tmp_path / "folder").mkdir()

    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert demo.returncode != 0
    assert NOTHING_TO_SEND[path] in demo.stderr
    assert "Traceback" not in demo.stderr


def test_the_demo_runs_with_a_single_line(tmp_path: Path) -> None:
    (tmp_path / "input.log").write_bytes(b"the only one")

    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "input.log"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr

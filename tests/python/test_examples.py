import subprocess
import sys
from pathlib import Path

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

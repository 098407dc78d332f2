"""The programs of the README run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_programs_run_one_after_the_other(tmp_path: Path) -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for program in PROGRAMS
    ]

    assert printed[0].count("b'customer-7' b'order ") == 3
    assert "orders" in printed[1]

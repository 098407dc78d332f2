"""What compaction and retention leave, beside what a real broker leaves of the same files.

`tests/interop/cleaning.py` records that.
"""

import importlib.util
import json
from pathlib import Path

import brokerless
import brokerless.admin

TESTS = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("scenario", TESTS / "cleaning" / "scenario.py")
assert SPEC is not None
assert SPEC.loader is not None
scenario = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(scenario)


def test_the_same_records_are_left_as_by_a_broker(tmp_path: Path) -> None:
    settings = "".join(f"{name}={value}\n" for name, value in scenario.OFTEN.items())
    (tmp_path / "brokerless.properties").write_text(settings)
    scenario.fill(brokerless, str(tmp_path))

    scenario.clean(brokerless, str(tmp_path), tmp_path)

    found = json.loads(json.dumps(scenario.left(brokerless, str(tmp_path))))
    expected = json.loads((TESTS / "data" / "cleaning" / "left.json").read_text())
    assert found == expected

"""`brokerless verify`: whether every file of a data directory is as it should be."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from brokerless._brokerless import verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CLEAN", "DAMAGED", "UNKNOWN", "run_verify"]

# What the command exits with: nothing is wrong, something was, and it could not be told.
CLEAN, DAMAGED, UNKNOWN = 0, 1, 2

# Between two lines of progress, in seconds.
PAUSE = 0.1


def run_verify(directory: str, *, repair: bool = False, as_json: bool = False) -> int:
    """Check a directory, print what was found, and return the exit code."""
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    progress = _Progress() if is_watched else None
    try:
        report = verify(directory, repair=repair, progress=progress)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:  # noqa: BLE001 - whatever it is, one plain line
        # Of an error of ours the sentence alone, without the system's number.
        message = re.sub(r" \(os error \d+\)", "", str(error.args[0] if error.args else error))
        if as_json:
            print(json.dumps({"directory": directory, "error": message}, indent=2))
        return _fail(message, UNKNOWN)
    finally:
        if progress is not None:
            progress.clear()
    report = {"directory": directory, **_counted(report)}
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    return DAMAGED if report["errors"] or report["warnings"] else CLEAN


class _Progress:
    """A line on the terminal that says how far the check has come."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, folder: str, number: int, partitions: int, size: int) -> None:
        now = time.monotonic()
        if now - self._last >= PAUSE:
            self._last = now
            line = f"{number} of {partitions} partitions, {_size(size)}: {folder}"
            print(f"\r\033[K{line[:79]}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._last:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _fail(message: str, code: int) -> int:
    if sys.stderr is not None:  # print would take the standard output
        print(f"brokerless: {message}", file=sys.stderr)
    return code


def _counted(report: Mapping[str, Any]) -> dict[str, Any]:
    findings = report["findings"]
    counts = {
        f"{severity}s": sum(finding["severity"] == severity for finding in findings)
        for severity in ("error", "warning", "note")
    }
    return {**counts, **report}


def _print(report: Mapping[str, Any]) -> None:
    print(
        f"{report['directory']}: {_number(report['partitions'], 'partition')}, "
        f"{_number(report['segments'], 'segment')}, {_number(report['records'], 'record')}, "
        f"{_size(report['bytes'])}" + (" (others have it open)" if report["in_use"] else "")
    )
    _print_findings(report["findings"])
    for repair in report.get("repairs", ()):
        print(f"done    {repair['path']}: {repair['message']}")
    counts = ", ".join(_number(report[f"{what}s"], what) for what in ("error", "warning", "note"))
    print(counts if report["errors"] or report["warnings"] else f"nothing is wrong ({counts})")
    left = [finding for finding in report.get("left", ()) if finding["severity"] != "note"]
    if "left" in report:
        count = _number(len(left), "thing") if left else "nothing"
        print(f"{count} left to put right" + (":" if left else ""))
        _print_findings(left)


def _print_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    for finding in findings:
        place = [finding["path"]]
        if finding["position"] is not None:
            place.append(f"position {finding['position']}")
        if finding["offset"] is not None:
            place.append(f"offset {finding['offset']}")
        where = ", ".join(place)
        print(f"{finding['severity']:7} {where}: {finding['message']} [{finding['code']}]")
        if finding["remedy"]:
            print(f"        {finding['remedy']}")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _size(size: float) -> str:
    units = ["TiB", "GiB", "MiB", "KiB"]
    if size < 1024:
        return f"{size} bytes"
    while size >= 1024 and units:
        unit = units.pop()
        size /= 1024
    return f"{size:,.1f} {unit}"

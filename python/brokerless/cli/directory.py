"""The directory that `--dir` chooses."""

from __future__ import annotations

import os
from pathlib import Path

from brokerless.errors.base import SettingError
from brokerless.location import directory_named

__all__ = ["check_folder", "choose"]


def choose(given: str) -> None:
    """Make it the default one, for this process; `SettingError` says why it cannot be."""
    if not given:  # an unset variable would be this folder
        raise SettingError("--dir is empty")
    os.environ["BROKERLESS_DIR"] = directory_named(given, "--dir")


def check_folder() -> None:
    """Refuse something else than a folder; `where` tells it, as of any directory."""
    directory = Path(os.environ["BROKERLESS_DIR"])
    if directory.exists() and not directory.is_dir():
        raise SettingError(f"--dir: {directory} is no directory")

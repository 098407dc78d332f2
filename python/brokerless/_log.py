"""The logger. `logging` takes longer to import than all the rest: only on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def log() -> Logger:
    """Give the logger of the package, `brokerless`."""
    import logging

    return logging.getLogger("brokerless")


def log_info(message: str, *args: object) -> None:
    """Log what nobody sees who has not set up logging."""
    import sys

    if "logging" in sys.modules:
        log().info(message, *args)


def log_debug(message: str, *args: object) -> None:
    """Log what nobody sees who has not set up logging."""
    import sys

    if "logging" in sys.modules:
        log().debug(message, *args)

"""The end of processes that multiprocessing starts.

They leave by `os._exit` and so without `atexit`, but for those that are spawned. What runs
in all of them is `multiprocessing.util.Finalize`, before threads are waited for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from brokerless import _brokerless

if TYPE_CHECKING:
    from threading import Thread

__all__ = ["ends_in_order"]

# After everything that is registered with a usual priority, as it may still send.
_LAST = -1000

# A process forgets what was registered before it was forked.
_registered_in = 0


def ends_in_order() -> None:
    """Make a child of multiprocessing send what it still holds when it ends."""
    global _registered_in
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None or _registered_in == os.getpid():
        return
    from multiprocessing.util import Finalize

    _registered_in = os.getpid()
    Finalize(None, _end, exitpriority=_LAST)


def _end() -> None:
    """Wait for the threads that Python waits for next, which may send; then send all."""
    from threading import Thread, current_thread
    from threading import enumerate as threads

    others = [t for t in threads() if not t.daemon and t is not current_thread()]
    if others:
        Thread(target=_end_after, args=(others,), name="brokerless-end", daemon=False).start()
    else:
        _end_after(others)


def _end_after(threads: list[Thread]) -> None:
    for thread in threads:
        thread.join()
    _brokerless.flush_all()
    if "--multiprocessing-fork" not in sys.orig_argv:  # spawned: atexit does the rest
        _brokerless.close_all()

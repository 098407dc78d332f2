"""The future that `commit_async` gives, as kafka-python has it.

The futures of `send` are compiled ones with the same methods.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from brokerless._log import log

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from typing_extensions import Self

    from brokerless.structs import TopicPartition

__all__ = ["Future", "FutureProduceResult"]


class Future:
    """A result that may still be to come. It is awaitable, and takes callbacks."""

    error_on_callbacks = False
    """Whether what a callback raises is raised again after it was logged."""

    def __init__(self) -> None:
        self.is_done = False
        self.value: Any = None
        self.exception: BaseException | None = None
        self._lock = threading.Lock()
        self._callbacks: list[tuple[bool, Callable[..., object]]] = []

    def succeeded(self) -> bool:
        """Whether there is a value."""
        return self.is_done and self.exception is None

    def failed(self) -> bool:
        """Whether there is an exception."""
        return self.is_done and self.exception is not None

    def retriable(self) -> bool:
        """Whether there is an exception that says to try again."""
        return bool(getattr(self.exception, "retriable", False))

    def success(self, value: Any) -> Self:
        """Complete with a value; call the callbacks."""
        return self._complete(value, None)

    def failure(self, e: BaseException | type[BaseException]) -> Self:
        """Complete with an exception; call the errbacks."""
        return self._complete(None, e() if isinstance(e, type) else e)

    def add_callback(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Call `f(*args, value, **kwargs)` on success; at once if it is done."""
        return self._add(True, f, args, kwargs)

    def add_errback(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Call `f(*args, exception, **kwargs)` on failure; at once if it is done."""
        return self._add(False, f, args, kwargs)

    def add_both(self, f: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Call `f` either way."""
        self.add_callback(f, *args, **kwargs)
        return self.add_errback(f, *args, **kwargs)

    def chain(self, future: Any) -> Self:
        """Hand the result on to another future."""
        self.add_callback(future.success)
        return self.add_errback(future.failure)

    def __await__(self) -> Generator[Any, None, Any]:
        if not self.is_done:
            yield self
        if self.exception is not None:
            raise self.exception
        return self.value

    def _complete(self, value: Any, exception: BaseException | None) -> Self:
        with self._lock:
            if self.is_done:
                raise AssertionError("Future is already complete")
            self.value, self.exception, self.is_done = value, exception, True
            waiting, self._callbacks = self._callbacks, []
        for on_success, f in waiting:
            self._call(on_success, f)
        return self

    def _add(
        self,
        on_success: bool,
        f: Callable[..., object],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Self:
        bound = functools.partial(f, *args, **kwargs) if args or kwargs else f
        with self._lock:
            done = self.is_done
            if not done:
                self._callbacks.append((on_success, bound))
        if done:
            self._call(on_success, bound)
        return self

    def _call(self, on_success: bool, f: Callable[..., object]) -> None:
        if on_success != self.succeeded():
            return
        try:
            f(self.value if on_success else self.exception)
        except Exception:
            log().exception("Error processing %s", "callback" if on_success else "errback")
            if self.error_on_callbacks:
                raise


class FutureProduceResult(Future):
    """The future of a whole batch in kafka-python; nothing here makes one."""

    def __init__(self, topic_partition: TopicPartition) -> None:
        super().__init__()
        self.topic_partition = topic_partition
        self._done = threading.Event()
        self.add_both(lambda _: self._done.set())

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is done after at most `timeout` seconds."""
        return self._done.wait(timeout)

"""Methods of a class or of its instances, whichever is asked.

kafka-python 2.x asks assignors' classes, 3.0 their instances; there are programs of both kinds.
"""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
else:
    P = TypeVar("P")
R = TypeVar("R")

__all__ = ["either"]


class either(Generic[P, R]):  # noqa: N801
    """The first argument of the method is the instance, or the class if there is none."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: type) -> Callable[P, R]:
        return MethodType(self._function, owner if instance is None else instance)

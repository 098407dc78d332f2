"""What the enumerations of kafka-python have beside Python's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EnumHelper"]


class EnumHelper:
    """Members by value or by name, also in small letters and with hyphens."""

    @classmethod
    def build_from(cls, val: Any) -> Self:
        """Give the member that `val` is, or is the value or the name of."""
        if isinstance(val, cls):
            return val
        try:
            return cls(val)  # type: ignore[call-arg]
        except ValueError:
            return cls._named(str(val).strip(), val)

    @classmethod
    def value_for(cls, val: Any) -> Any:
        """Give the value of the member that `val` is, or is the value or the name of."""
        if isinstance(val, cls):
            return val.value  # type: ignore[attr-defined]
        if isinstance(val, int):
            return cls(val).value  # type: ignore[call-arg, attr-defined]
        return cls._named(str(val), val).value  # type: ignore[attr-defined]

    @classmethod
    def _named(cls, name: str, given: Any) -> Self:
        try:
            return cls[name.upper().replace("-", "_")]  # type: ignore[index, no-any-return]
        except KeyError:
            raise ValueError(f"Unrecognized {cls.__name__}: {given}") from None

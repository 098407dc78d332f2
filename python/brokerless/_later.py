"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["names_of"]


def names_of(
    package: dict[str, Any], modules: Mapping[str, str], submodules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package; `modules` has the module below it of each name."""
    own = package["__name__"]

    def find(name: str) -> Any:
        if name not in modules and name not in submodules:
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f"{own}.{modules.get(name, name)}")
        package[name] = getattr(module, name) if name in modules else module
        return package[name]

    return find, lambda: sorted({*package, *modules, *submodules})

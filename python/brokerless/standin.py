"""The stand-in: `import kafka` gives brokerless.

`_standin` holds one package, `kafka`. With that folder on `sys.path` a program finds
it as it would find an installed kafka-python: behind its own modules, before
installed ones. Child processes that `multiprocessing` spawns get `sys.path` from
their parent, and so the stand-in as well. An installed kafka-python is not touched.

The submodules are made here: their names are kafka-python's, of 1.x to 3.x, and
what is in them is that of the modules of brokerless.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__all__ = ["FOLDER", "MODULES", "VERSION", "fill"]

FOLDER = os.path.join(os.path.dirname(__file__), "_standin")
"""What goes onto `sys.path`."""

VERSION = "3.0.0"
"""The kafka-python whose names and defaults these are."""

# The modules of kafka-python, and those of brokerless that give each its names.
MODULES: dict[str, tuple[str, ...]] = {
    "kafka": (),
    "kafka.admin": ("admin",),
    "kafka.admin.acl_resource": ("admin",),
    "kafka.admin.client": ("admin",),
    "kafka.admin.config_resource": ("admin",),
    "kafka.admin.new_partitions": ("admin",),
    "kafka.admin.new_topic": ("admin",),
    "kafka.common": ("errors", "structs"),
    "kafka.consumer": ("consumer",),
    "kafka.consumer.fetcher": ("consumer",),
    "kafka.consumer.group": ("consumer",),
    "kafka.consumer.subscription_state": ("listener",),
    "kafka.coordinator": (),
    "kafka.coordinator.assignors": (),
    "kafka.coordinator.assignors.abstract": ("assignors",),
    "kafka.coordinator.assignors.cooperative_sticky": ("assignors",),
    "kafka.coordinator.assignors.range": ("assignors",),
    "kafka.coordinator.assignors.roundrobin": ("assignors",),
    "kafka.coordinator.assignors.sticky": ("assignors",),
    "kafka.coordinator.assignors.sticky.sticky_assignor": ("assignors",),
    "kafka.coordinator.assignors.sticky.user_data": ("assignors",),
    "kafka.coordinator.base": (),
    "kafka.coordinator.protocol": ("assignors.protocol",),
    "kafka.errors": ("errors",),
    "kafka.future": ("future",),
    "kafka.partitioner": ("partitioner",),
    "kafka.partitioner.abc": ("partitioner",),
    "kafka.partitioner.default": ("partitioner",),
    "kafka.partitioner.roundrobin": ("partitioner",),
    "kafka.partitioner.sticky": ("partitioner",),
    "kafka.producer": ("producer",),
    "kafka.producer.future": ("producer", "future"),
    "kafka.producer.kafka": ("producer",),
    "kafka.protocol": (),
    "kafka.protocol.consumer": ("isolation", "assignors.protocol"),
    "kafka.protocol.consumer.group": ("assignors.protocol",),
    "kafka.protocol.consumer.metadata": ("assignors.protocol",),
    "kafka.serializer": ("serializer",),
    "kafka.serializer.abstract": ("serializer",),
    "kafka.serializer.default": ("serializer",),
    "kafka.serializer.json": ("serializer",),
    "kafka.serializer.wrapper": ("serializer",),
    "kafka.structs": ("structs",),
    "kafka.version": (),
}

# Where these modules of kafka-python import from, and so programs from them, too.
_IMPORTING = (
    "kafka.admin",
    "kafka.consumer",
    "kafka.coordinator",
    "kafka.future",
    "kafka.producer",
)
_IMPORTED = ("errors", "structs", "future", "isolation", "assignors", "assignors.protocol")

# What a module has beside: names that only old programs use.
_EXTRA: dict[str, dict[str, str]] = {
    "kafka.common": {"ConnectionError": "KafkaConnectionError"},
    "kafka.errors": {"ConnectionError": "KafkaConnectionError"},
}


class _Finder(MetaPathFinder, Loader):
    """Makes the modules below `kafka`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if "." not in fullname or fullname not in MODULES:
            return None
        is_package = any(name.startswith(fullname + ".") for name in MODULES)
        return ModuleSpec(fullname, self, origin="brokerless", is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        fill(module.__name__, module.__dict__)


_finder = _Finder()


def fill(name: str, namespace: dict[str, Any]) -> None:
    """Give the module `name` of kafka-python its content."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    namespace["__version__"] = VERSION
    sources = MODULES[name] if name != "kafka" else ("",)
    public = [
        (source, public)
        for source in (_source(s) for s in sources)
        for public in source.__all__
        if not public.startswith("__")
    ]
    namespace["__all__"] = [public for _, public in public]
    if name != "kafka":
        namespace.update({public: getattr(source, public) for source, public in public})
    for old, new in _EXTRA.get(name, {}).items():
        namespace[old] = namespace[new]
    namespace["__getattr__"] = _getattr(name)
    namespace["__dir__"] = lambda: sorted({*namespace, *namespace["__all__"]})


def _source(name: str) -> ModuleType:
    return import_module("brokerless." + name if name else "brokerless")


def _getattr(module: str) -> Any:
    """What a module has when it is first asked for: its submodules, and the lazy names."""

    def __getattr__(name: str) -> Any:  # noqa: N807
        if f"{module}.{name}" in MODULES:
            return import_module(f"{module}.{name}")
        if module == "kafka" and name in _source("").__all__:
            return getattr(_source(""), name)
        for source in map(_source, _imported(module)):
            if name in source.__all__:
                return getattr(source, name)
        raise AttributeError(f"module {module!r} of brokerless has no attribute {name!r}")

    return __getattr__


def _imported(module: str) -> tuple[str, ...]:
    return _IMPORTED if module.startswith(_IMPORTING) else ()

"""The parts, in the order of the page."""

from types import ModuleType

from . import gpu, growth, imports, inference, quality, scoring, search, sharing, training

#: Each has ENTRIES, bars(entries) and section(entries).
PARTS: dict[str, ModuleType] = {
    "training": training,
    "quality": quality,
    "inference": inference,
    "scoring": scoring,
    "growth": growth,
    "search": search,
    "sharing": sharing,
    "imports": imports,
    "gpu": gpu,
}

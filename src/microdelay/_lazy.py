"""Names of a package that are looked up on first use: whoever uses one of them loads nothing else."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # that of typing, which takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Give `__getattr__` and `__dir__` for a package whose names are at home in the modules that `homes` gives."""

    def look_up(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(home), name)
        vars(import_module(package))[name] = value
        return value

    def names() -> list[str]:
        return sorted({*vars(import_module(package)), *homes})

    return look_up, names

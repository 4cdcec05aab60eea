"""pydantic ≥ 2.6: validation and dump of models.

`Model(…)` itself is left alone: it is hot, and pydantic looks at it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.codecs import codec, result_size, second_size
from microdelay.record.measure import Describe
from microdelay.record.patches import Wrap, replace


def install(main: ModuleType) -> None:
    """Time the methods that models inherit."""
    model = main.BaseModel
    replace(model, "model_validate", _of_class("model_validate", None))
    replace(model, "model_validate_json", _of_class("model_validate_json", second_size))
    replace(model, "model_dump", codec("pydantic.model_dump"))
    replace(model, "model_dump_json", codec("pydantic.model_dump_json", result_size))


def _of_class(name: str, describe: Describe | None) -> Wrap:
    wrap = codec(f"pydantic.{name}", describe)

    def wrap_bound(bound: Callable[..., Any]) -> Any:
        return classmethod(wrap(bound.__func__))  # type: ignore[attr-defined]

    return wrap_bound

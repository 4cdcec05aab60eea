"""pydantic ≥ 2.6: validation and dump of models.

`Model(…)` itself is left alone: it is hot, and pydantic looks at it.
"""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec, result_size, second_size
from microdelay.record.patches import of_class, replace


def install(main: ModuleType) -> None:
    """Time the methods that models inherit."""
    model = main.BaseModel
    replace(model, "model_validate", of_class(codec("pydantic.model_validate")))
    replace(model, "model_validate_json", of_class(codec("pydantic.model_validate_json", second_size)))
    replace(model, "model_dump", codec("pydantic.model_dump"))
    replace(model, "model_dump_json", codec("pydantic.model_dump_json", result_size))

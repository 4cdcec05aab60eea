"""tiktoken ≥ 0.7: an encoding being loaded, which reads (and the first time downloads) megabytes."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec
from microdelay.record.patches import loaded, replace_in_all
from microdelay.spans import SETUP


def install(registry: ModuleType) -> None:
    """Time `get_encoding`, which `encoding_for_model` is made of; what is loaded already takes no time."""
    replace_in_all(
        [registry, *loaded("tiktoken", "tiktoken.model")], "get_encoding", codec("tiktoken.get_encoding", kind=SETUP)
    )

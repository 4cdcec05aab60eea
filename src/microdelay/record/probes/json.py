"""`json`: encoding and decoding, where it takes long enough to matter.

The encoder's and the decoder's methods are timed, so that `from json import dumps` before the probe is seen too.
"""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import codec, result_size, second_size
from microdelay.record.families.waits import cover
from microdelay.record.patches import replace
from microdelay.record.writer import Writer
from microdelay.spans import CODEC


def install(json: ModuleType) -> None:
    """Time what everything goes through, by the name of the function that the program calls."""
    cover(Writer._drain)  # the recorder's own
    for name in ("dumps", "loads", "load"):
        cover(getattr(json, name), CODEC, f"json.{name}")
    replace(json.JSONEncoder, "encode", codec("JSONEncoder.encode", result_size))
    replace(json.JSONDecoder, "decode", codec("JSONDecoder.decode", second_size))
    replace(json, "dump", codec("json.dump"))

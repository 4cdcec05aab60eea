"""`pickle`: its four functions. `Pickler` and `Unpickler` objects are not seen."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.codecs import argument_size, codec, result_size
from microdelay.record.patches import loaded, replace_in_all


def install(pickle: ModuleType) -> None:
    """Time each in both modules that know it, so that it is itself pickled as before."""
    owners = [*loaded("_pickle"), pickle]
    replace_in_all(owners, "dumps", codec("pickle.dumps", result_size))
    replace_in_all(owners, "loads", codec("pickle.loads", argument_size))
    replace_in_all(owners, "dump", codec("pickle.dump"))
    replace_in_all(owners, "load", codec("pickle.load"))

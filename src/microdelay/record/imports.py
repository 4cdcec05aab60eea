"""Installs each probe when its library is imported, and imports no library itself.

A probe is a module in `probes/` named after the module it watches, with `_` for `.` and `__` for `_` (`http_client.py`
watches `http.client`, `psycopg__pool_pool.py` watches `psycopg_pool.pool`, `anyio___backends___asyncio.py` watches
`anyio._backends._asyncio`); its `install(module)` makes the patches.
"""

from __future__ import annotations

import gc  # noqa: F401  # the collector works, and has its probe, whether the program imports its module or not
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import ModuleType

from microdelay.record.measure import hide
from microdelay.record.trouble import stand_aside

_PACKAGE = f"{__package__}.probes"


def watched() -> dict[str, str]:
    """Give {library module: probe module} for every file in `probes/`."""
    folder = os.path.join(os.path.dirname(__file__), "probes")
    names = sorted(entry[:-3] for entry in os.listdir(folder) if entry.endswith(".py") and entry != "__init__.py")
    return {_library(name): name for name in names}


def _library(probe: str) -> str:
    return probe.replace("___", ". ").replace("__", " ").replace("_", ".").replace(" ", "_")


class Importer:
    """First on `sys.meta_path`: lets the other finders find a watched module and adds the probe to its loading."""

    def __init__(self) -> None:
        self.waiting = watched()
        self.installed: list[str] = []
        self._finding: set[str] = set()

    def install_loaded(self) -> None:
        """Install the probes of the libraries that are imported already, and wait for the others."""
        for library in list(self.waiting):
            module = sys.modules.get(library)
            # A module that is being imported right now gets its probe when the import is done.
            if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
                self.install(library, module)
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Stop waiting."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def install(self, library: str, module: ModuleType) -> None:
        """Install one probe; a library that is not as expected is left as it is."""
        probe = self.waiting.pop(library, None)
        if probe is None:
            return
        try:
            import_module(f"{_PACKAGE}.{probe}").install(module)
            self.installed.append(library)
        except Exception as error:
            stand_aside(f"probe {probe}", error)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a watched module through the finders behind this one."""
        if name not in self.waiting or name in self._finding:
            return None
        self._finding.add(name)
        try:
            # Those before this one have been asked already. Where it is not among them, a program that keeps the
            # finders behind one of its own asks, or a recording ends in another thread.
            finders = list(sys.meta_path)
            for finder in finders[finders.index(self) + 1 :] if self in finders else ():
                find = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find(name, path, target) if find else None
                if spec is not None:
                    self._watch(spec)
                    return spec
        finally:
            self._finding.discard(name)
        return None

    def _watch(self, spec: ModuleSpec) -> None:
        """Have the probe installed when the module is loaded; the loader stays the real one."""
        loader = spec.loader

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            try:
                loader.exec_module(module)  # type: ignore[union-attr]
            except BaseException as error:
                hide(error)
                raise
            self.install(module.__name__, module)

        # A loader that many modules share (a zip file's), or that takes no attributes, is left alone.
        if isinstance(loader, (SourceFileLoader, SourcelessFileLoader, ExtensionFileLoader)):
            loader.exec_module = exec_module  # type: ignore[method-assign]

"""Installs each probe when its library is imported, and imports no library itself.

A probe is a module in `probes/` named after the module it watches, with `_` for `.` (`http_client.py` watches
`http.client`); its `install(module)` makes the patches.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from microdelay.record.events import trouble

_PACKAGE = f"{__package__}.probes"


def watched() -> dict[str, str]:
    """Give {library module: probe module} for every file in `probes/`."""
    folder = os.path.join(os.path.dirname(__file__), "probes")
    names = sorted(entry[:-3] for entry in os.listdir(folder) if entry.endswith(".py") and entry != "__init__.py")
    return {name.replace("_", "."): name for name in names}


class Importer(MetaPathFinder):
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
            self.installed.append(probe)
        except Exception as error:
            trouble(f"probe {probe}", error)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a watched module through the finders behind this one."""
        if name not in self.waiting or name in self._finding:
            return None
        self._finding.add(name)
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec: ModuleSpec | None = find(name, path, target) if find and finder is not self else None
                if spec is not None:
                    if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                        spec.loader = _ProbingLoader(spec.loader, self)
                    return spec
        finally:
            self._finding.discard(name)
        return None


class _ProbingLoader(Loader):
    """Stands before the real loader for the time of one import."""

    def __init__(self, loader: Any, importer: Importer) -> None:
        self._loader = loader
        self._importer = importer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._importer.install(module.__name__, module)

"""Tracebacks through imports in functions."""

import importlib
import importlib.machinery
import sys
import traceback
import types


class Loader:
    @staticmethod
    def create_module(spec):
        return types.ModuleType(spec.name)

    @staticmethod
    def exec_module(module):
        exec("def fail(): raise KeyError(1)\nfail()", vars(module))


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "generated":
            return importlib.machinery.ModuleSpec(name, Loader)
        if name == "crashing":
            raise LookupError(name)
        return None


def work(name):
    try:
        importlib.import_module(name)
    except BaseException:
        traceback.print_exc()
    try:
        exec(f"import {name}")
    except BaseException:
        traceback.print_exc()


sys.meta_path.append(Finder)
for name in ("missing", "missing.inner", "json.missing", "generated", "crashing", "", "."):
    work(name)
try:
    from json import nothing  # noqa: F401
except ImportError:
    traceback.print_exc()
importlib.import_module(".decoder", "json")
print(importlib.import_module("colorsys").__name__, importlib._bootstrap._find_and_load.__name__)

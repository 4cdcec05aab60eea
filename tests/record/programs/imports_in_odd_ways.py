"""Specs, loaders and reloading of libraries that are probed."""

import importlib
import importlib.resources
import importlib.util
import pkgutil
import sys
from importlib.machinery import SourceFileLoader

for name in ("requests", "httpx", "aiohttp", "sqlite3", "http.client", "concurrent.futures.thread", "json"):
    spec = importlib.util.find_spec(name)
    print(spec.name, spec.origin, type(spec.loader), isinstance(spec.loader, SourceFileLoader), spec.loader.is_package)
    module = importlib.import_module(name)
    print(module.__spec__.loader, module.__loader__ is module.__spec__.loader, sorted(vars(module.__loader__)))
    print(sys.modules[name] is module, len(pkgutil.get_data(name.partition(".")[0], "__init__.py")) > 10)
import json  # noqa: E402

print(importlib.reload(json) is json, json.dumps([1]), importlib.resources.files("requests").name)
import http.client  # noqa: E402

importlib.reload(http.client)
lazy = importlib.util.find_spec("urllib3")
lazy.loader = importlib.util.LazyLoader(lazy.loader)
module = importlib.util.module_from_spec(lazy)
sys.modules["urllib3"] = module
lazy.loader.exec_module(module)
print(module.PoolManager)


class Finder:
    @staticmethod
    def find_spec(name, path, target=None):
        print("asked for", name)


sys.meta_path.insert(0, Finder)
del sys.modules["sqlite3"]
import sqlite3  # noqa: E402

print(sqlite3.connect(":memory:").execute("select 1").fetchall())

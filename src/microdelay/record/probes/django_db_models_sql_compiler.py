"""Django ≥ 4.2: which model a statement is for; the statement itself is the driver's."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families import db
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(compiler: ModuleType) -> None:
    """Say it while the ORM executes one."""
    db.has_origins = True
    for name in ("SQLCompiler", "SQLInsertCompiler"):  # the others call the first
        owner = getattr(compiler, name)
        if "execute_sql" in vars(owner):
            replace(owner, "execute_sql", _execute)


def _execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        local = db.local
        before, local.orm = local.orm, _model(self)
        try:
            return execute(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise
        finally:
            local.orm = before

    return unnoticed(wrapper, execute)


def _model(compiler: Any) -> str:
    label = getattr(getattr(getattr(compiler.query, "model", None), "_meta", None), "label", "")
    return f"django {label}".rstrip()

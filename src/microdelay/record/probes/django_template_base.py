"""Django ≥ 4.2: which line of which template is being rendered, for the statements that it causes.

A queryset is asked where its rows are used: in a template, far from the view that made it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType, ModuleType
from typing import Any

from microdelay.record.calls import MAX_FRAMES, is_user_file
from microdelay.record.families import db
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed


def install(base: ModuleType) -> None:
    """Follow the rendering of nodes; pieces of text are no nodes that do anything."""
    replace(base.Node, "render_annotated", _render)
    rendering: CodeType = base.Node.render_annotated.__code__

    def of(frame: FrameType | None) -> str:
        return _line(db.local.nodes) if db.local.nodes and _is_innermost(rendering, frame) else ""

    db.template_of = of
    db.has_origins = True


def _render(render: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, context: Any) -> Any:
        nodes = db.local.nodes
        nodes.append(self)
        try:
            return render(self, context)
        except BaseException as error:
            hide(error)
            raise
        finally:
            nodes.pop()

    return unnoticed(wrapper, render)


def _is_innermost(rendering: CodeType, frame: FrameType | None) -> bool:
    """Tell whether a template is nearer to a statement than any code of the user's own, such as a model's method."""
    for _ in range(MAX_FRAMES):
        if frame is None or is_user_file(frame.f_code.co_filename):
            return False
        if frame.f_code is rendering:
            return True
        frame = frame.f_back
    return False


def _line(nodes: list[Any]) -> str:
    """Give the innermost line of a template of the user's own, "" where all are a library's or have no file."""
    for node in reversed(nodes):
        name = getattr(getattr(node, "origin", None), "name", None)
        line = getattr(getattr(node, "token", None), "lineno", None)
        if isinstance(name, str) and line and is_user_file(name):
            return f"{name}:{line}"
    return ""

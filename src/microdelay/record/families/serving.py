"""A request that the program answers: what the probes of servers and web frameworks share.

However many layers a request passes (a server, an application, another one mounted in it), it is one span: the
outermost layer that is watched makes a `Request`, and the inner ones tell it what they know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from microdelay.record import roots
from microdelay.record.describing import describe as describing
from microdelay.record.describing import units
from microdelay.record.events import Label, cpu_now, now
from microdelay.record.measure import MAX_LABELS, NO_CPU, NO_PLACE, Details, hide, record
from microdelay.record.patches import Wrap, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import SERVER

describing.by_kind[SERVER] = units.server

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""Others are `_OTHER`, as OpenTelemetry has it: whoever asks may make up as many as they like."""

MAX_ROUTE_CHARACTERS = 200
"""A template is as long as a line of the program."""


_NUMBERS = str.maketrans("", "", "0123456789abcdefABCDEF-")
"""Takes what identifiers are made of out of a path: what is left of those of one endpoint is nearly always the same."""

_labels: dict[tuple[object, ...], Label] = {}


class Request:
    """One request that is being answered, from its arrival until the last of the answer is sent.

    Of one that has a thread to itself (`in_thread`) the processor time is known. One without a `path`, which may turn
    out to be none, begins no trace.
    """

    __slots__ = ("_cpu", "_prefix", "_trace", "ended", "is_announced", "method", "route", "scheme", "start", "status")

    def __init__(self, method: object, scheme: object, path: object = None, in_thread: bool = False) -> None:
        self._trace = None
        if path is not None:
            self._trace = roots.begin(SERVER, f"{method} {str(path).translate(_NUMBERS)}")
        self.method = str(method).upper()
        self.scheme = str(scheme)
        self.status = 0
        self.route = ""
        self.ended = 0
        self._prefix = ""
        self.is_announced = False  # the route, by the framework
        self._cpu = cpu_now() if in_thread and not self._trace else -1
        self.start = now()

    def enter(self, path: object, announced: bool = False) -> None:
        """Note the template of an application mounted below the one that has the request."""
        if self._is_new(announced):
            self._prefix += str(path).removesuffix("/{path}")

    def choose(self, path: object, announced: bool = False) -> None:
        """Note the template of the chosen route, below what it is mounted on."""
        known, self.is_announced = self.is_announced, announced  # as `_is_new`, one call cheaper
        if announced or not known:
            self.route = f"{self._prefix}{path}"

    def _is_new(self, announced: bool) -> bool:
        """Tell whether a choice has not been told already: FastAPI announces it, then Starlette follows it."""
        known, self.is_announced = self.is_announced, announced
        return announced or not known

    def finish(self, error: BaseException | None = None) -> None:
        """Record it, at no place: the user's code is below it, and what is above is a server."""
        end, trace = self.ended or now(), self._trace
        if trace:
            label = _labels.get((self.method, self.route, self.status, self.scheme, type(error)))
            roots.end(trace, label or self._label(error), self.start, end)
            return
        cpu = (self._cpu, cpu_now()) if self._cpu >= 0 else NO_CPU
        record(SERVER, "", self.start, end, cpu, self._details(), error, NO_PLACE)
        if trace is not None:
            roots.end(trace)

    def _label(self, error: BaseException | None) -> Label:
        """Give what requests to the same endpoint with the same status have in common."""
        if len(_labels) >= MAX_LABELS:
            _labels.clear()
        failure = "" if error is None else type(error).__name__
        label = Label(SERVER, "", self._details(), failure)
        _labels[self.method, self.route, self.status, self.scheme, type(error)] = label
        return label

    def _details(self) -> Details:
        details: Details = {"http.request.method": self.method if self.method in METHODS else "_OTHER"}
        if self.route:
            details["http.route"] = self.route[:MAX_ROUTE_CHARACTERS]
        if self.status:
            details["http.response.status_code"] = self.status
        if self.scheme in ("http", "https"):
            details["url.scheme"] = self.scheme
        return details


def _is_recorded(application: object) -> bool:
    """Tell whether requests to an application are seen anyway, also below what a server puts around it."""
    inner = getattr(application, "app", None)
    calls = (vars(kind).get("__call__") for each in (application, inner) for kind in type(each).__mro__)
    return any(hasattr(call, "__microdelay__") for call in calls)


def _always(server: object) -> bool:
    return True


def loading(attribute: str, application: type[Any], wanted: Callable[[Any], bool] = _always) -> Wrap:
    """Wrap a method after which a server has its application in an attribute: let it have a recorded one."""

    def wrap(load: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                result = load(self, *args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
            try:
                loaded = getattr(self, attribute)
                if wanted(self) and not isinstance(loaded, application) and not _is_recorded(loaded):
                    setattr(self, attribute, application(loaded))
            except Exception as problem:
                stand_aside("server's application", problem)
            return result

        return unnoticed(wrapper, load)

    return wrap


def status_of(value: Any) -> int:
    """Give an answer's status, 0 where the program gives something else."""
    if type(value) is int:
        return value
    try:
        return int(value)
    except (TypeError, ValueError) as problem:
        stand_aside("status", problem)
        return 0

"""Whether a service that is asked for one item after the other is known to answer for many at once.

It is where the program asks it to at another place: for the collection's path with a word for a batch behind it
(`/items/batch` beside `/items/{}`, `/items:batchGet`, `/_mget`).
"""

from __future__ import annotations

from functools import lru_cache

from microdelay.diagnose.case import Case
from microdelay.spans import Span
from microdelay.traces.columns import Shape

WORDS = ("batch", "batchGet", "bulk", "mget", "_mget", "many", "multi")
"""What stands behind a collection's path where many of its items are asked for (Google's AIP-231, Elasticsearch)."""

_Known = dict[tuple[object, str], str]


def endpoint(case: Case, request: Span) -> str:
    """Give the request that asks for many of what `request` asks for one, `POST /items/batch`; "" where none is known.

    Known is what was recorded, in any trace and of the same server.
    """
    path = str(request.attributes.get("url.template", ""))
    known = _endpoints(case)
    wanted = [path.removesuffix("/{}") + between + word for word in WORDS for between in "/:"]
    return next((known[_server(request), each] for each in wanted if (_server(request), each) in known), "")


@lru_cache(1)  # more would keep recordings alive
def _endpoints(case: Case) -> _Known:
    """Give the names of the requests to batch endpoints, by server and path."""
    _, found = case.all_requests.spans.coded(lambda shape: (_server(shape), _path(shape), shape.name))
    endings = tuple(between + word for word in WORDS for between in "/:")
    return {(server, path): name for server, path, name in found if path.endswith(endings)}


def _path(shape: Shape) -> str:
    return str(shape.attributes.get("url.template", ""))


def _server(told: Shape | Span) -> object:
    return told.attributes.get("server.address"), told.attributes.get("server.port")

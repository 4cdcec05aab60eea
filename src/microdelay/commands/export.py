"""`microdelay export FILE`: the recording's spans for other tools, to a collector of OpenTelemetry or into a file."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from microdelay.commands import _options
from microdelay.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HELP = "send a recording to an OpenTelemetry collector, or write it as OTLP JSON"

TIMEOUT_SECONDS = 10.0
"""For a collector's answer to one request, as OpenTelemetry's exporters have it."""

PATH = "/v1/traces"
HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a recording made by: microdelay run")
    parser.add_argument("--otlp", default="", metavar="URL", help="of a collector, e.g. http://127.0.0.1:4318")
    parser.add_argument("-o", "--output", default="", metavar="FILE", help="OTLP JSON, one request a line (.jsonl)")
    _options.add_trace_root(parser)


def run(arguments: Namespace) -> int:
    """Write and send, and say how much it was."""
    _options.check_trace_root(arguments)
    _check(arguments)
    try:
        from microdelay.traces.formats import otlp
    except ImportError:
        raise UsageError('export needs an extra; install it: pip install "microdelay[otlp]"') from None
    from microdelay.traces import assemble, read

    recording = read(arguments.file)
    traces = assemble(recording, arguments.trace_root)
    spans = 0
    with _written(arguments.output) as write:
        for request in otlp.requests(recording, traces):
            if arguments.otlp:
                _send(arguments.otlp, request)
            write(otlp.json_line(request) if arguments.output else "")
            spans += otlp.count(request)
    where = " and ".join(each for each in (arguments.otlp, arguments.output) if each)
    sys.stdout.write(f"{spans:,} spans of {len(traces):,} traces: {where}\n")
    return 0


def _check(arguments: Namespace) -> None:
    """Refuse what cannot be done before any work is. Raises UsageError."""
    if not (arguments.otlp or arguments.output):
        raise UsageError("where to? write --otlp http://127.0.0.1:4318 or -o FILE.jsonl")
    if arguments.otlp and not _is_address(arguments.otlp):
        raise UsageError(f"--otlp {arguments.otlp!r} is no http:// or https:// address, e.g. http://127.0.0.1:4318")
    if arguments.output and os.path.realpath(arguments.output) == os.path.realpath(arguments.file):
        raise UsageError(f"-o {arguments.output} is the recording itself; choose another name")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@contextmanager
def _written(path: str) -> Iterator[Callable[[str], object]]:
    """Give what writes into a file that is complete or not there; where none is wanted, into nothing."""
    if not path:
        yield lambda text: None
        return
    try:
        with open(path, "w", encoding="utf-8") as opened:
            yield opened.write
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    except BaseException:
        os.unlink(path)
        raise


def _send(url: str, request: ExportTraceServiceRequest) -> None:
    """Post one request to a collector. Raises UsageError if it is not taken as a whole."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    address = url.rstrip("/")
    address += "" if address.endswith(PATH) else PATH
    headers = {"Content-Type": "application/x-protobuf", **_given_headers()}
    asked = urllib.request.Request(address, request.SerializeToString(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=TIMEOUT_SECONDS) as answer:
            taken = ExportTraceServiceResponse.FromString(answer.read())
    except urllib.error.HTTPError as error:
        raise UsageError(
            f"{address} answers {error.code} {error.reason}: is it a collector's OTLP/HTTP port?"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or reason
        raise UsageError(f"cannot send to {address}: {why}; does a collector run there?") from None
    except DecodeError:
        raise UsageError(f"{address} does not answer as a collector does: is it the OTLP/HTTP port?") from None
    if taken.partial_success.rejected_spans:
        told = taken.partial_success
        raise UsageError(f"{address} did not take {told.rejected_spans:,} spans: {told.error_message}")


def _given_headers() -> dict[str, str]:
    """Give the headers that OpenTelemetry's exporters would send, e.g. an API key."""
    pairs = [pair.partition("=") for name in HEADERS for pair in os.environ.get(name, "").split(",")]
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals}

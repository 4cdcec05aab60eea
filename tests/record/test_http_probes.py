"""Each HTTP client against a real server: one span a request, where it stands, what it says, what it waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]

IMPORTS = """
import asyncio, http.client, os, urllib.request
import aiohttp, httpx, requests, urllib3
service = os.environ["ODD"]
host = service.partition("//")[2]
RETRY = urllib3.Retry(5, connect=0, read=0, other=0)
def ignoring(function, *arguments, **options):
    try: return function(*arguments, **options)
    except Exception: pass
async def with_aiohttp(path):
    async with aiohttp.ClientSession() as session, session.get(service + path) as answer:
        return await answer.read()
async def with_httpx(path):
    async with httpx.AsyncClient() as client:
        return await client.get(service + path)
"""

CALLS = {
    "requests": "requests.get(service + '{}')",
    "httpx": "httpx.get(service + '{}')",
    "urllib3": "urllib3.PoolManager(retries=RETRY).request('GET', service + '{}')",
    "http.client": "urllib.request.urlopen(service + '{}').read()",
    "aiohttp": "asyncio.run(with_aiohttp('{}'))",
    "httpx async": "asyncio.run(with_httpx('{}'))",
}


def requests_of(made: Recording, part: bool = False) -> list[Span]:
    return [span for span in made.spans if span.kind == "http" and ("part" in span.attributes) == part]


@pytest.mark.parametrize("client", CALLS)
def test_one_request_is_one_span(client: str, recording: Record, odd_service: str) -> None:
    made = recording(IMPORTS + CALLS[client].format("/plain/7f3a9?x=1"), ODD=odd_service)
    (span,) = requests_of(made)
    assert span.name == "GET /plain/{}"
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["server.address"] == "127.0.0.1"
    assert span.attributes["server.port"] == int(odd_service.rpartition(":")[2])
    assert span.attributes["client"] == client.partition(" ")[0]
    assert span.duration_ns >= 4_000_000
    assert span.site is not None
    outer = [span, *requests_of(made, part=True)]
    assert any(each.output for each in outer)
    assert any(each.received for each in outer)
    assert sum(each.kind == "connect" for each in made.spans) == 1


@pytest.mark.parametrize("client", CALLS)
def test_a_failing_request_is_a_span_with_its_error(client: str, recording: Record, odd_service: str) -> None:
    call = CALLS[client].format("/dropped")
    made = recording(IMPORTS + f"ignoring(lambda: {call})", ODD=odd_service)
    (span,) = requests_of(made)
    assert span.error
    made = recording(IMPORTS + f"ignoring(lambda: {call})", ODD="http://127.0.0.1:9")
    assert [bool(span.error) for span in requests_of(made)] == [True]
    assert all(span.error for span in made.spans if span.kind == "connect")


@pytest.mark.parametrize("client", ["requests", "urllib3", "aiohttp"])
def test_redirects_are_part_of_the_request(client: str, recording: Record, odd_service: str) -> None:
    made = recording(IMPORTS + CALLS[client].format("/moved"), ODD=odd_service)
    (span,) = requests_of(made)
    assert span.attributes["http.response.status_code"] == 200


@pytest.mark.parametrize("client", CALLS)
def test_an_error_of_the_server_is_a_status(client: str, recording: Record, odd_service: str) -> None:
    made = recording(IMPORTS + f"ignoring(lambda: {CALLS[client].format('/missing')})", ODD=odd_service)
    assert [span.attributes["http.response.status_code"] for span in requests_of(made)] == [404]


@pytest.mark.parametrize(
    "call",
    [
        "b''.join(requests.get(service + '/pieces', stream=True).iter_content(None))",
        "urllib3.PoolManager().request('GET', service + '/pieces', preload_content=False).read()",
        "list(urllib.request.urlopen(service + '/pieces'))",
        "urllib.request.urlopen(service + '/pieces').read()",
        "asyncio.run(with_aiohttp('/pieces'))",
    ],
)
def test_waiting_for_a_streamed_body_is_seen(call: str, recording: Record, odd_service: str) -> None:
    made = recording(IMPORTS + call, ODD=odd_service)
    (request,) = requests_of(made)
    parts = requests_of(made, part=True)
    assert sum(part.duration_ns for part in parts) >= 25_000_000
    assert all(part.start_ns >= request.end_ns for part in parts)
    assert {part.site.line for part in parts if part.site} == {
        request.site.line if request.site else 0
    } or "aiohttp" in call


def test_retries_are_one_request(recording: Record, odd_service: str) -> None:
    source = """
        from requests.adapters import HTTPAdapter
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=2))
        ignoring(session.get, service + "/dropped")
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    assert len(requests_of(made)) == 1
    assert Counter(span.kind for span in made.spans)["connect"] == 3


def test_a_kept_connection_is_made_once(recording: Record, odd_service: str) -> None:
    source = """
        with requests.Session() as session:
            for _ in range(3): session.get(service + "/plain")
        with httpx.Client() as client:
            for _ in range(3): client.get(service + "/plain")
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    assert len(requests_of(made)) == 6
    assert Counter(span.kind for span in made.spans)["connect"] == 2


@pytest.mark.parametrize(
    "login",
    [
        "requests.post(service + '/moved', allow_redirects=False); token = answer.cookies['sid']",
        "requests.post(service + '/moved'); token = answer.history[0].cookies['sid']",
        "httpx.post(service + '/moved'); token = answer.cookies['sid']",
        "urllib3.request('POST', service + '/moved', redirect=False); token = answer.headers['Set-Cookie'][4:20]",
    ],
)
def test_a_cookie_that_is_used_later_shows_as_flow(login: str, recording: Record, odd_service: str) -> None:
    source = f"answer = {login}\nrequests.get(service + '/x', headers=dict(Cookie='sid=' + token))"
    first, second = requests_of(recording(IMPORTS + source, ODD=odd_service))
    assert first.received & second.sent
    unrelated = f"answer = {login}\nrequests.get(service + '/x', headers=dict(Cookie='sid=another-cookie'))"
    first, second = requests_of(recording(IMPORTS + unrelated, ODD=odd_service))
    assert not first.received & second.sent


def test_a_value_of_the_answer_that_is_sent_later_shows_as_flow(recording: Record, odd_service: str) -> None:
    source = "value = requests.get(service + '/a').json()['next']\nrequests.get(service + '/b', params=dict(of=value))"
    first, second = requests_of(recording(IMPORTS + source, ODD=odd_service))
    assert first.received & second.sent
    assert not second.received & first.sent


def test_equal_requests_have_equal_fingerprints(recording: Record, odd_service: str) -> None:
    source = "for n in (1, 1, 2): requests.post(service + '/a', data=f'body {n}')"
    one, again, other = requests_of(recording(IMPORTS + source, ODD=odd_service))
    assert one.input == again.input != other.input
    assert one.output == again.output == other.output != 0


def test_the_many_requests_of_one_place_have_fingerprints_but_flow_only_at_first(
    recording: Record, odd_service: str
) -> None:
    source = """
session = requests.Session()
for n in [*range(204), 0]:
    session.post(service + "/a", data=f"body {n}").json()
"""
    made = requests_of(recording(IMPORTS + source, ODD=odd_service))
    assert len(made) == 205
    assert made[-1].input == made[0].input
    assert len({span.input for span in made}) == 204
    assert {span.output for span in made} == {made[0].output} != {0}
    assert [bool(span.sent | span.received) for span in (made[0], made[-2])] == [True, False]


@pytest.mark.parametrize("client", CALLS)
def test_names_connections_and_handshakes_are_told_apart(
    client: str, recording: Record, tls_service: tuple[str, str]
) -> None:
    address, certificate = tls_service
    made = recording(
        IMPORTS
        + CALLS[client]
        .format("/plain")
        .replace("urllib3.PoolManager(", "urllib3.PoolManager(ca_certs=os.environ['SSL_CERT_FILE'], "),
        ODD=address,
        SSL_CERT_FILE=certificate,
        REQUESTS_CA_BUNDLE=certificate,
    )
    kinds = Counter(
        span.kind for span in made.spans if span.activity == requests_of(made)[0].activity and not span.error
    )
    (handshake,) = [span for span in made.spans if span.kind == "tls"]
    assert handshake.attributes["server.address"] == "localhost"
    assert kinds["dns"] >= 1 or client == "aiohttp"
    assert [span.attributes["url.scheme"] for span in requests_of(made)] == ["https"]
    assert any(span.kind == "connect" and not span.error for span in made.spans)

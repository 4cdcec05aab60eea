"""Clients and TLS contexts being made: tens of milliseconds of processor time that no request shows."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.traces import Recording

Record = Callable[..., Recording]


def test_making_a_client_is_seen_where_the_program_does_it(recording: Record, odd_service: str) -> None:
    source = """
        import asyncio, ssl
        import aiohttp, anthropic, certifi, httpx, httpx2, openai, requests

        def every():
            httpx.Client()
            httpx2.Client()
            openai.OpenAI(api_key="keysecret")
            anthropic.Anthropic(api_key="keysecret")
            ssl.create_default_context(cafile=certifi.where())
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(certifi.where())

        async def on_the_loop():
            httpx.AsyncClient()
            httpx2.AsyncClient()
            openai.AsyncOpenAI(api_key="keysecret")
            anthropic.AsyncAnthropic(api_key="keysecret")

        class Mine(httpx.Client):
            def __init__(self): super().__init__(timeout=5)

        every()
        asyncio.run(on_the_loop())
        Mine()
        httpx.Client(verify=False)
        requests.Session()
    """
    made = recording(source, ODD=odd_service)
    setups = [span for span in made.spans if span.kind == "setup" and span.site and span.site.function != "<module>"]
    assert [span.name for span in setups] == [
        "httpx.Client",
        "httpx2.Client",
        "openai.OpenAI",
        "anthropic.Anthropic",
        "ssl.create_default_context",
        "SSLContext.load_verify_locations",
        "httpx.AsyncClient",
        "httpx2.AsyncClient",
        "openai.AsyncOpenAI",
        "anthropic.AsyncAnthropic",
        "httpx.Client",
    ]
    assert [span.site.function for span in setups if span.site] == ["every"] * 6 + ["on_the_loop"] * 4 + [
        "Mine.__init__"
    ]
    assert all(span.attributes["microdelay.tls_context"] for span in setups)
    assert all(span.duration_ns >= span.cpu_ns >= 1_000_000 for span in setups)
    tasks = {activity.id for activity in made.activities.values() if activity.kind == "task"}
    assert all(
        (span.activity in tasks) == (span.site is not None and span.site.function == "on_the_loop") for span in setups
    )


def test_a_client_made_is_what_it_is_without_us(
    recorded: Callable[..., tuple[int, str, str]],
    plainly: Callable[..., tuple[int, str, str]],
    program: Callable[..., object],
) -> None:
    ran = program("""
        import inspect, ssl, traceback
        import httpx, httpx2, openai
        for made in (httpx.Client, httpx2.AsyncClient, openai.OpenAI, ssl.create_default_context):
            print(inspect.signature(made), inspect.isfunction(made), inspect.isclass(made))
        print(inspect.signature(ssl.SSLContext.load_default_certs), type(ssl.create_default_context()))
        for make in (lambda: httpx.Client(proxy="what://"), lambda: ssl.create_default_context(cafile="/none")):
            try: make()
            except Exception: traceback.print_exc()
        try: openai.OpenAI()
        except openai.OpenAIError: traceback.print_exc()
    """)
    assert recorded(ran) == plainly(ran)

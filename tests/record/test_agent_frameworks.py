"""The turns and tools of agent frameworks: each tool on the line of execution that ran it, and nothing changed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from microdelay.spans import Span
from microdelay.traces import Recording, Trace, assemble, read

Record = Callable[..., Recording]
Execute = Callable[..., tuple[int, str, str]]

CITIES = ("Oslo", "Rome", "Lima")


class _Model(BaseHTTPRequestHandler):
    """Asks for the first tool that it is offered, three times at once, and then says that it is done."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.01)
        tools = [tool["function"]["name"] for tool in asked.get("tools", [])]
        message: dict[str, Any] = {"role": "assistant", "content": "done-secret-answer"}
        if tools and asked["messages"][-1]["role"] != "tool":
            message["content"] = None
            message["tool_calls"] = [
                {
                    "index": number,
                    "id": f"call-{number}",
                    "type": "function",
                    "function": {"name": tools[0], "arguments": json.dumps({"city": city})},
                }
                for number, city in enumerate(CITIES)
            ]
        choice = {"index": 0, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
        made = {"id": "1", "model": "m", "created": 1}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        if asked.get("stream"):
            whole = made | {"object": "chat.completion.chunk", "choices": [choice | {"delta": message}], "usage": usage}
            body, kind = f"data: {json.dumps(whole)}\n\ndata: [DONE]\n\n".encode(), "text/event-stream"
        else:
            whole = made | {"object": "chat.completion", "choices": [choice | {"message": message}], "usage": usage}
            body, kind = json.dumps(whole).encode(), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def model() -> Iterator[str]:
    """Run the model's server, and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def unchanged(tmp_path: Path, program: Callable[..., Path], plainly: Execute, recorded: Execute, model: str) -> Record:
    """Run a program alone and under the recorder, which must not be seen in what it prints; give the recording."""

    def run(source: str) -> Recording:
        path = program(source)
        outcome = recorded(path, MODEL=model)
        assert outcome[0] == 0, outcome[2]
        assert outcome[:2] == plainly(path, MODEL=model)[:2]  # what is never awaited is told at random on the third
        return read(tmp_path / "program.mdr")

    return run


def names(spans: list[Span]) -> list[str]:
    return [span.name for span in spans]


def tools(trace: Trace) -> list[Span]:
    return [span for span in trace.spans if span.kind == "tool"]


def overlap(spans: list[Span]) -> bool:
    """Tell whether all of them ran at one time."""
    return max(span.start_ns for span in spans) < min(span.end_ns for span in spans)


def kinds_below(recording: Recording, trace: Trace) -> set[str]:
    """The kinds of the activities in which the pauses inside a trace's tools were made."""
    activities = {span.activity for span in tools(trace)}
    pauses = [span for span in trace.spans if span.attributes.get("seconds") == 0.05]
    assert len(pauses) == 3
    lines = [recording.activities[span.activity] for span in pauses]
    assert all(line.id in activities or line.parent in activities for line in lines)
    return {line.kind for line in lines}


LANGGRAPH = """
import asyncio, operator, os, time
from typing import Annotated, TypedDict
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
@tool
def weather(city: str) -> str:
    "Look out of the window."
    time.sleep(0.05)
    return "sun in " + city
@tool
async def async_weather(city: str) -> str:
    "Look out of the window."
    await asyncio.sleep(0.05)
    return "sun in " + city
def graph(tool):
    model = ChatOpenAI(model="m", base_url=os.environ["MODEL"], api_key="k").bind_tools([tool])
    async def acall(state): return {"messages": [await model.ainvoke(state["messages"])]}
    def call(state): return {"messages": [model.invoke(state["messages"])]}
    from langchain_core.runnables import RunnableLambda
    builder = StateGraph(MessagesState)
    builder.add_node("llm", RunnableLambda(call, acall))
    builder.add_node("tools", ToolNode([tool]))
    builder.add_edge(START, "llm")
    builder.add_conditional_edges("llm", tools_condition)
    builder.add_edge("tools", "llm")
    return builder.compile(name="forecaster")
ASKED = {"messages": [("user", "what is the weather")]}
"""


def test_langgraph(unchanged: Record) -> None:
    made = unchanged(
        LANGGRAPH
        + """
print(graph(weather).invoke(ASKED)["messages"][-1].content)
async def main():
    print((await graph(weather).ainvoke(ASKED))["messages"][-1].content)
    print((await graph(async_weather).ainvoke(ASKED))["messages"][-1].content)
    async for _ in graph(async_weather).astream(ASKED): pass
asyncio.run(main())
for _ in graph(weather).stream(ASKED): pass
for _ in graph(weather).stream(ASKED): break  # and leave
import inspect, traceback
from langgraph.pregel import Pregel
def broken(state): raise ValueError("from the node")
builder = StateGraph(MessagesState)
builder.add_node("broken", broken)
builder.add_edge(START, "broken")
made = builder.compile()
for call in (made.invoke, lambda asked: asyncio.run(made.ainvoke(asked))):
    try: call(ASKED)
    except ValueError: print("".join(line for line in traceback.format_exc().splitlines(True) if "During" not in line))
stream = made.stream(ASKED)
print(type(stream), inspect.isgeneratorfunction(Pregel.stream), inspect.isasyncgenfunction(Pregel.astream))
print(inspect.signature(Pregel.stream), Pregel.astream.__qualname__)
print(next(graph(weather).stream(ASKED))["llm"]["messages"][0].tool_calls)
@tool
def failing(city: str) -> str:
    "Fail."
    raise KeyError("gone")
try: failing.invoke({"city": "x"})
except KeyError: print(traceback.format_exc())
"""
    )
    assert not made.warnings
    traces = assemble(made)
    *whole, left = traces[:6]
    assert {trace.name for trace in traces[:6]} == {"invoke_agent forecaster"}
    for trace, name in zip(whole, ["weather", "weather", *["async_weather"] * 2, "weather"], strict=True):
        assert names(tools(trace)) == [f"execute_tool {name}"] * 3
        assert overlap(tools(trace))
        nodes = [
            (span.name, span.attributes["langgraph.step"])
            for span in trace.spans
            if "langgraph.node" in span.attributes
        ]
        assert nodes == [("node llm", 1), ("node tools", 2), ("node llm", 3)]
    sync, run_async, *_ = whole
    assert [kinds_below(made, trace) for trace in whole] == [{"work"}, {"work"}, {"task"}, {"task"}, {"work"}]
    assert tools(left) == []
    used = tools(sync)[0]
    assert used.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
    }
    assert len({span.input for span in tools(sync)}) == 3
    assert {span.input for span in tools(sync)} == {span.input for span in tools(run_async)}
    assert sync.root is not None
    assert sync.root.attributes == {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "forecaster"}
    assert not [span for span in made.spans if "Oslo" in repr(span) or "secret" in repr(span)]


AGENTS = """
import asyncio, os, time
from agents import (
    Agent, GuardrailFunctionOutput, OpenAIChatCompletionsModel, Runner, function_tool, input_guardrail,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
set_tracing_disabled(True)
@function_tool
def weather(city: str) -> str:
    time.sleep(0.05)
    return "sun in " + city
@function_tool
async def async_weather(city: str) -> str:
    await asyncio.sleep(0.05)
    return "sun in " + city
@input_guardrail
async def polite(context, agent, asked):
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)
def agent(tool):
    client = AsyncOpenAI(base_url=os.environ["MODEL"], api_key="k")
    model = OpenAIChatCompletionsModel("m", openai_client=client)
    return Agent(name="forecaster", model=model, tools=[tool], input_guardrails=[polite])
"""


def test_openai_agents(unchanged: Record) -> None:
    made = unchanged(
        AGENTS
        + """
print(Runner.run_sync(agent(weather), "what is the weather").final_output)
async def main():
    print((await Runner.run(agent(async_weather), "what is the weather")).final_output)
    result = Runner.run_streamed(agent(async_weather), "what is the weather")
    async for _ in result.stream_events(): pass
    print(result.final_output)
asyncio.run(main())
import traceback
@function_tool(failure_error_function=None)
def failing(city: str) -> str: raise KeyError("gone")
try: Runner.run_sync(agent(failing), "x")
except Exception as error: print(type(error), error, error.__cause__)
print(Runner.run_sync(agent(weather), "x").final_output)
"""
    )
    assert not made.warnings
    traces = assemble(made)[:3]
    assert {trace.name for trace in traces} == {"invoke_agent forecaster"}
    for trace, name in zip(traces, ["weather", *["async_weather"] * 2], strict=True):
        assert names(tools(trace)) == [f"execute_tool {name}"] * 3
        assert overlap(tools(trace))
        assert len({span.activity for span in tools(trace)}) == 3
        assert [span.attributes for span in trace.spans if span.name == "guardrail"] == [{"agents.guardrail": "polite"}]
        assert len({span.input for span in tools(trace)}) == 3
    assert [kinds_below(made, trace) for trace in traces] == [{"work"}, {"task"}, {"task"}]
    assert not [span for span in made.spans if "Oslo" in repr(span) or "secret" in repr(span)]


PYDANTIC_AI = """
import asyncio, os, time
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
def weather(city: str) -> str:
    time.sleep(0.05)
    return "sun in " + city
async def async_weather(city: str) -> str:
    await asyncio.sleep(0.05)
    return "sun in " + city
def agent(tool):
    made = Agent(OpenAIChatModel("m", provider=OpenAIProvider(base_url=os.environ["MODEL"], api_key="k")))
    made.tool_plain(tool)
    return made
"""


def test_pydantic_ai(unchanged: Record) -> None:
    made = unchanged(
        PYDANTIC_AI
        + """
blocking = agent(weather)
print(blocking.run_sync("what is the weather").output, blocking.name)
async def main():
    forecaster = agent(async_weather)
    print((await forecaster.run("what is the weather")).output, forecaster.name)
    entered = agent(async_weather)
    async with entered.iter("what is the weather") as run:
        async for _ in run: pass
    async with agent(weather).run_stream("what is the weather") as result:
        print(await result.get_output())
asyncio.run(main())
import traceback
def failing(city: str) -> str: raise KeyError("gone")
named_here = agent(failing)
try: named_here.run_sync("x")
except KeyError as error: print(repr(error), named_here.name)
async def main():
    within = agent(weather)
    async with within.iter("x") as run: print(type(run), within.name)
    try:
        async with within.iter("x") as run: raise RuntimeError("of the consumer")
    except RuntimeError: print(traceback.format_exc())
    manager = within.iter("x")
    print(type(manager).__name__, type(manager).__module__)
asyncio.run(main())
"""
    )
    assert not made.warnings
    traces = assemble(made)[:4]
    assert [trace.name for trace in traces][:2] == ["invoke_agent blocking", "invoke_agent forecaster"]
    for trace, name in zip(traces, ["weather", *["async_weather"] * 2, "weather"], strict=True):
        assert names(tools(trace)) == [f"execute_tool {name}"] * 3
        assert overlap(tools(trace))
        assert len({span.input for span in tools(trace)}) == 3
    assert [kinds_below(made, trace) for trace in traces] == [{"work"}, {"task"}, {"task"}, {"work"}]
    assert not [span for span in made.spans if "Oslo" in repr(span) or "secret" in repr(span)]

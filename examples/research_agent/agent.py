"""A research assistant on LangGraph: it looks things up, reads, takes notes, and answers. `--turns N` questions."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, TypedDict

import library
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from tools import TOOLS

sys.path.append(str(Path(__file__).resolve().parents[1]))
import llm_server

DEFAULT_TURNS = 6
MODEL = "research-1"
QUESTIONS = (
    "How does soil moisture change the yield of wheat?",
    "Which sensors survive a winter in the field?",
    "What did the river gauges show after the flood of 2013?",
    "Can satellite images replace the weather stations?",
    "How much water does drip irrigation save in an orchard?",
    "Who measured nitrate in the groundwater, and where?",
)

logger = logging.getLogger("research")


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    sources: list[str]


def retrieve(state: State) -> dict[str, Any]:
    question = state["messages"][-1].content
    papers = library.search(str(question), limit=4)
    logger.info("retrieved %d papers", len(papers))
    return {"sources": [f"[{paper['id']}] {paper['title']} ({', '.join(paper['authors'])})" for paper in papers]}


async def think(state: State) -> dict[str, Any]:
    model = ChatOpenAI(model=MODEL, streaming=True, stream_usage=True).bind_tools(TOOLS)
    system = SystemMessage("You are a careful research assistant. Sources:\n" + "\n".join(state["sources"]))
    answer = await model.ainvoke([system, *state["messages"]])
    return {"messages": [answer]}


def build_graph() -> CompiledStateGraph:
    graph = StateGraph(State)
    graph.add_node("retrieve", retrieve)
    graph.add_node("think", think)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, "retrieve")
    graph.add_edge("retrieve", "think")
    graph.add_conditional_edges("think", tools_condition)
    graph.add_edge("tools", "think")
    return graph.compile(checkpointer=InMemorySaver())


async def answer_question(graph: CompiledStateGraph, reader: str, question: str) -> str:
    logger.info("%s asks: %s", reader, question)
    config = {"configurable": {"thread_id": reader}}
    state = await graph.ainvoke({"messages": [HumanMessage(question)], "sources": []}, config)
    return str(state["messages"][-1].content)


async def hold_session(turns: int) -> None:
    graph = build_graph()
    for number in range(turns):
        question = QUESTIONS[number % len(QUESTIONS)]
        print(await answer_question(graph, "reader-1", question), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=DEFAULT_TURNS, help="questions to answer (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=1.0, help="of the language model (default: %(default)s)")
    arguments = parser.parse_args()
    logging.basicConfig(filename=library.log_path(), level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    library.prepare()
    with llm_server.available(arguments.pace):
        asyncio.run(hold_session(arguments.turns))


if __name__ == "__main__":
    main()

"""A LangGraph whose edges put two look-ups into a row, though each reads the question only."""

import operator
from typing import Annotated, TypedDict

import requests
import world
from langgraph.graph import END, START, StateGraph

TRUTH = {
    "findings": {
        "nodes": {
            "rule": ["serial-calls", "serial-llm-turns"],
            "at": ["finance", "history", "invoke"],
            "verdict": "independent",
        }
    },
    "fixes": {"after_branches": ["nodes"]},
    "runs": 8,
}

http = requests.Session()


class State(TypedDict):
    question: int
    facts: Annotated[list[str], operator.add]


def finance(state: State):
    value = http.get(world.url(f"/finance/q{state['question']}")).json()["value"]  # at: finance
    return {"facts": ["finance " + value]}


def history(state: State):
    value = http.get(world.url(f"/history/q{state['question']}")).json()["value"]  # at: history
    return {"facts": ["history " + value]}


def answer(state: State):
    return {"facts": [f"{len(state['facts'])} facts"]}


def graph(edges):
    made = StateGraph(State)
    for node in (finance, history, answer):
        made.add_node(node.__name__, node)
    for start, end in edges:
        made.add_edge(start, end)
    return made.compile()


chain = graph([(START, "finance"), ("finance", "history"), ("history", "answer"), ("answer", END)])
branches = graph(
    [(START, "finance"), (START, "history"), ("finance", "answer"), ("history", "answer"), ("answer", END)]
)


def before(n):
    return sorted(chain.invoke({"question": n, "facts": []})["facts"])  # at: invoke


def after_branches(n):
    return sorted(branches.invoke({"question": n, "facts": []})["facts"])


if __name__ == "__main__":
    world.main(globals())

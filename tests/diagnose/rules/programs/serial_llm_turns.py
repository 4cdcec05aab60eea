"""Tools of one answer are run one after the other (slow), or together (near)."""

import json
import sys
from functools import partial

import requests
from langchain_core.tools import tool

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


@tool
def weather(user: int) -> str:
    """Tell the weather."""
    return requests.get(f"{service}/weather/{user}?ms=30").text


@tool
def stock(user: int) -> str:
    """Tell what is in stock."""
    return requests.get(f"{service}/stock/{user}?ms=40").text


@tool
def crm(user: int) -> str:
    """Tell who it is."""
    return requests.get(f"{service}/crm/{user}?ms=20").text


tools = {each.name: each for each in (weather, stock, crm)}


def ask(messages):
    body = {"model": "gpt", "messages": messages}
    return session.post(f"{service}/v1/chat/completions", json=body).json()["choices"][0]["message"]


def execute(call):
    made = call["function"]
    return {"role": "tool", "content": tools[made["name"]].invoke(json.loads(made["arguments"]))}  # found


@microdelay.trace
def handle(number: int) -> str:
    messages = [{"role": "user", "content": f"question {number}"}]
    while calls := (answer := ask(messages)).get("tool_calls"):
        messages.append(answer)
        if mode == "slow":
            for call in calls:
                messages += [execute(call)]
        else:
            messages += microdelay.fan_out([partial(execute, call) for call in calls])
    return answer["content"]


for number in range(5):
    handle(number)

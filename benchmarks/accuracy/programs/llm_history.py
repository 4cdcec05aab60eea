"""A model is asked until it wants no more tools; each turn carries what was said before."""

import json

import httpx
import openai
import world

TRUTH = {"dependent": [["turn", "turn"], ["turn", "tool"], ["tool", "turn"]], "runs": 8}

client = openai.OpenAI(base_url=world.url("/v1"), api_key="none", max_retries=0)
tools = httpx.Client(base_url=world.url())

OFFERED = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "stock")
]


def before(n):
    messages = [{"role": "user", "content": f"question {n}"}]
    while True:
        answer = client.chat.completions.create(model="local", messages=messages, tools=OFFERED)  # at: turn
        said = answer.choices[0].message
        if not said.tool_calls:
            return said.content
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            about = json.loads(call.function.arguments)["about"]
            found = tools.get(f"/{call.function.name}/{about}").json()  # at: tool
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(found)})


if __name__ == "__main__":
    world.main(globals())

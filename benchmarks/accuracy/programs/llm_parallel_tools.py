"""The model asks for three tools at once; the agent runs them one by one."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import openai
import world

TRUTH = {
    "findings": {"tools": {"rule": ["serial-llm-turns", "serial-calls"], "at": ["tool"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["tools"]},
    "dependent": [["ask", "tool"], ["tool", "answer"], ["ask", "answer"]],
    "runs": 8,
}

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "finance", "crm")
]


@asynccontextmanager
async def resources():
    model = openai.AsyncOpenAI(base_url=world.url("/v1"), api_key="none", max_retries=0)
    async with model, aiohttp.ClientSession(world.url()) as session:
        yield model, session


async def run_tool(session, call):
    about = json.loads(call.function.arguments)["about"]
    async with session.get(f"/{call.function.name}/{about}") as response:
        return {"role": "tool", "tool_call_id": call.id, "content": (await response.json())["value"]}


async def one_by_one(session, calls):
    messages = []
    for call in calls:
        messages.append(await run_tool(session, call))  # at: tool
    return messages


async def at_once(session, calls):
    return list(await asyncio.gather(*(run_tool(session, call) for call in calls)))


async def agent(n, model, session, run_tools):
    messages = [{"role": "user", "content": f"plan trip {n}"}]
    asked = await model.chat.completions.create(  # at: ask
        model="local", messages=messages, tools=TOOLS, parallel_tool_calls=True
    )
    said = asked.choices[0].message
    messages += [said.model_dump(exclude_none=True), *await run_tools(session, said.tool_calls)]
    answered = await model.chat.completions.create(model="local", messages=messages)  # at: answer
    return answered.choices[0].message.content


async def before(n, shared):
    return await agent(n, *shared, one_by_one)


async def after_gathered(n, shared):
    return await agent(n, *shared, at_once)


if __name__ == "__main__":
    world.main(globals())

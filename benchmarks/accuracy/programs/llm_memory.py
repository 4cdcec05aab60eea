"""A memory of turns by user: the second question is sent with the first one's answer."""

from collections import defaultdict
from contextlib import asynccontextmanager

import openai
import world

TRUTH = {"dependent": [["one", "two"]]}

memory = defaultdict(list)


@asynccontextmanager
async def resources():
    async with openai.AsyncOpenAI(base_url=world.url("/v1"), api_key="none") as client:
        yield client


async def say(client, who, text):
    memory[who].append({"role": "user", "content": text})
    reply = await client.chat.completions.create(model="local", messages=memory[who])
    memory[who].append({"role": "assistant", "content": reply.choices[0].message.content})
    return len(memory[who])


async def before(n, client):
    one = await say(client, n, "What is it about?")  # at: one
    two = await say(client, n, "And is it worth it?")  # at: two
    return one, two


if __name__ == "__main__":
    world.main(globals())

"""Embeds chunk by chunk, each with a request of its own, one after the other."""

import asyncio
from contextlib import asynccontextmanager

import openai
import world

TRUTH = {
    "findings": {"chunks": {"rule": ["serial-calls", "n-plus-one"], "at": ["embed"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["chunks"]},
}


@asynccontextmanager
async def resources():
    async with openai.AsyncOpenAI(base_url=world.url("/v1"), api_key="none", max_retries=0) as client:
        yield client


async def before(n, client):
    vectors = []
    for chunk in (f"chunk {n}.{i}" for i in range(4)):
        response = await client.embeddings.create(model="small", input=chunk, encoding_format="float")  # at: embed
        vectors.append(response.data[0].embedding)
    return vectors


async def after_gathered(n, client):
    responses = await asyncio.gather(
        *(client.embeddings.create(model="small", input=f"chunk {n}.{i}", encoding_format="float") for i in range(4))
    )
    return [response.data[0].embedding for response in responses]


if __name__ == "__main__":
    world.main(globals())

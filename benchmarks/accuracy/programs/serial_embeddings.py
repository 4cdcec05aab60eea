"""Embeds chunk by chunk, though the API takes a list."""

from contextlib import asynccontextmanager

import openai
import world

TRUTH = {
    "findings": {"chunks": {"rule": ["serial-calls", "n-plus-one"], "at": ["embed"], "verdict": "independent"}},
    "fixes": {"after_one_request": ["chunks"]},
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


async def after_one_request(n, client):
    chunks = [f"chunk {n}.{i}" for i in range(4)]
    response = await client.embeddings.create(model="small", input=chunks, encoding_format="float")
    return [item.embedding for item in response.data]


if __name__ == "__main__":
    world.main(globals())

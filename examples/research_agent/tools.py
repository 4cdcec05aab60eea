"""What the research assistant can do: two synchronous tools, two asynchronous ones."""

from __future__ import annotations

import asyncio

import library
from langchain_core.tools import tool
from openai import AsyncOpenAI

EMBEDDING_MODEL = "embed-1"
BEST_PASSAGES = 2


@tool
def search_papers(query: str) -> str:
    """Search the library for papers on a subject."""
    papers = library.search(query, limit=8)
    return "; ".join(f"{paper['id']} {paper['title']} by {' and '.join(paper['authors'])}" for paper in papers)


@tool
async def rank_passages(query: str, paper_id: int) -> str:
    """Find the passages of a paper that come closest to a question."""
    asked = await embed(query)
    scored = []
    for passage in await asyncio.to_thread(library.passages, paper_id):
        found = await embed(passage)
        scored.append((sum(a * b for a, b in zip(asked, found, strict=True)), passage))
    scored.sort(reverse=True)
    return " ".join(passage for _, passage in scored[:BEST_PASSAGES])


@tool
async def count_citations(paper_id: int) -> str:
    """Count who cites a paper, and who cites those."""
    first = await asyncio.to_thread(library.cited_by, paper_id)
    second = [await asyncio.to_thread(library.cited_by, each) for each in first]
    return f"{len(first)} papers, and {sum(map(len, second))} through them"


@tool
def save_note(text: str) -> str:
    """Keep a note for later turns."""
    return f"note {library.add_note(text)} kept"


async def embed(text: str) -> list[float]:
    async with AsyncOpenAI() as client:
        answer = await client.embeddings.create(model=EMBEDDING_MODEL, input=text)
    return answer.data[0].embedding


TOOLS = [search_papers, rank_passages, count_citations, save_note]

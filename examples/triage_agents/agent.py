"""A help desk on the OpenAI Agents SDK: one agent sorts, another handles money. `--turns N` messages of a customer."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import desk
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunContextWrapper,
    Runner,
    SQLiteSession,
    TResponseInputItem,
    function_tool,
    input_guardrail,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel

sys.path.append(str(Path(__file__).resolve().parents[1]))
import llm_server

DEFAULT_TURNS = 6
MODEL = "triage-1"
MESSAGES = (
    "My router has been blinking red since Monday, contract 4711.",
    "It is about billing: contract 4711 was charged twice in May.",
    "Is there an outage in my street? Contract 4711 again.",
    "Please explain the billing of 12 euros for contract 4711.",
    "The technician did not come. What now?",
    "I want to cancel contract 4711.",
)


class Verdict(BaseModel):
    is_abusive: bool
    reason: str


@function_tool
def look_up_contract(contract: int) -> str:
    """Look up a contract and its devices."""
    return desk.contract(contract)


@function_tool
def check_line(contract: int) -> str:
    """Measure the line of a contract."""
    return desk.measure_line(contract)


@function_tool
async def find_outages(district: str) -> str:
    """Find outages near the customer."""
    found = []
    for source in desk.OUTAGE_SOURCES:
        found += await desk.outages(source, district)
    return ", ".join(found) or "no outage"


@function_tool
def list_invoices(contract: int) -> str:
    """List the invoices of a contract with their items."""
    return desk.invoices(contract)


@function_tool
async def offer_refund(amount: int, reason: str) -> str:
    """Offer a refund."""
    await desk.write_ticket(f"refund of {amount}: {reason}")
    return f"a refund of {amount} is offered"


judge = Agent(name="Judge", instructions="Is the message abusive?", model=MODEL, output_type=Verdict)


@input_guardrail(run_in_parallel=False)
async def politeness(
    context: RunContextWrapper[None], agent: Agent, message: str | list[TResponseInputItem]
) -> GuardrailFunctionOutput:
    client = AsyncOpenAI()
    await client.embeddings.create(model="embed-1", input=str(message)[:200])
    result = await Runner.run(judge, message, context=context.context)
    return GuardrailFunctionOutput(output_info=result.final_output, tripwire_triggered=result.final_output.is_abusive)


billing = Agent(
    name="Billing agent",
    instructions="You settle questions about invoices.",
    model=MODEL,
    tools=[list_invoices, offer_refund],
)
triage = Agent(
    name="Triage agent",
    instructions="You help with lines and routers, and hand questions about money over.",
    model=MODEL,
    tools=[look_up_contract, check_line, find_outages],
    handoffs=[billing],
    input_guardrails=[politeness],
)


async def handle_message(session: SQLiteSession, message: str) -> str:
    result = await Runner.run(triage, message, session=session)
    return f"{result.last_agent.name}: {result.final_output}"


async def hold_conversation(turns: int) -> None:
    session = SQLiteSession("customer-4711")
    for number in range(turns):
        print(await handle_message(session, MESSAGES[number % len(MESSAGES)]), flush=True)
    session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=DEFAULT_TURNS, help="messages to handle (default: %(default)s)")
    parser.add_argument("--pace", type=float, default=1.0, help="of the language model (default: %(default)s)")
    arguments = parser.parse_args()
    set_tracing_disabled(True)
    desk.prepare()
    with llm_server.available(arguments.pace):
        asyncio.run(hold_conversation(arguments.turns))


if __name__ == "__main__":
    main()

"""The one statement, command or message that a finding proposes in place of many, in the words of what was recorded."""

from __future__ import annotations

import ast
import re

from microdelay.diagnose.dataflow.source import module
from microdelay.spans import Place, Span

MAX_QUOTED = 200
"""Characters of a statement that a proposal quotes as a Python string."""

_ORM = re.compile(r"(django|sqlalchemy) ([\w.]+)")

_PARAMETER = r"(?:\?|%s|%\(\w+\)s|\$\d+|:\w+)(?:::[A-Za-z_]\w*)?"
_KEY = re.compile(rf"([A-Za-z_][\w.]*) = {_PARAMETER}|{_PARAMETER} = ([A-Za-z_][\w.]*)")


def of_rows(example: Span) -> str:
    """Give the queries of a loop as one before it: as their mapper has it, else with all keys in an `IN`."""
    return _of_mapper(example) or _with_all_keys(str(example.attributes.get("db.query.text", "")))


def _of_mapper(example: Span) -> str:
    found = _ORM.match(str(example.attributes.get("microdelay.orm", "")))
    if found is None:
        return ""
    library, name = found[1], found[2]
    model, _, attribute = name.rpartition(".")
    if library == "django":
        return (
            f"# where the rows are asked for, so that {attribute} comes with them:\n"
            'rows.select_related("…")  # the one that a foreign key names, by a join\n'
            'rows.prefetch_related("…")  # many, by one more query for all'
        )
    if not model:
        return ""
    return (
        "from sqlalchemy.orm import selectinload\n\n"
        f"# where the rows are asked for: one more query for all of them\nstatement.options(selectinload({name}))"
    )


def of_writes(loop: Place, example: Span) -> str:
    """Give the writes of a loop as one after it."""
    text = str(example.attributes.get("db.query.text", ""))
    library, _, name = str(example.attributes.get("microdelay.orm", "")).partition(" ")
    model = name.rpartition(".")[2] or "Model"
    if library == "django":
        verb = "bulk_create" if text.upper().startswith("INSERT") else "bulk_update"
        fields = ', ["…"]' if verb == "bulk_update" else ""
        return f"# after the loop, which only makes the objects:\n{model}.objects.{verb}(objects{fields})"
    wait = "await " if _is_awaited(loop) else ""
    if library == "sqlalchemy":
        return f"# after the loop, which only makes the rows:\n{wait}session.execute(insert({model}), rows)"
    quoted = repr(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "…")
    return (
        "# the loop only makes the rows; after it, in one transaction:\n"
        f"{wait}connection.executemany(\n    {quoted},\n    rows,\n)"
    )


_BATCHES = {
    "aws_sqs": "sqs.send_message_batch(QueueUrl=url, Entries=entries)  # at most 10 entries each",
    "aws.sqs": "sqs.send_message_batch(QueueUrl=url, Entries=entries)  # at most 10 entries each",
    "aws.sns": "sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)  # at most 10 entries each",
    "servicebus": "sender.send_messages(batch)  # batch = sender.create_message_batch()",
    "eventhubs": "producer.send_batch(batch)  # batch = producer.create_batch()",
    "gcp_pubsub": "[publisher.publish(topic, data) for data in messages]  # wait for the futures after the last one",
    "kafka": "[producer.send(topic, each) for each in messages]  # and flush() once, after the last one",
    "rabbitmq": "# wait for confirms once, after the last one (publisher confirms in batches)",
}
"""By `messaging.system` of OpenTelemetry: what sends many messages, after the documentation of each client."""


def of_messages(example: Span) -> str:
    """Give the messages of a loop as one batch after it."""
    known = _BATCHES.get(str(example.attributes.get("messaging.system", "")))
    return "# after the loop, which only makes the messages:\n" + (known or "# the client's call for a batch")


def _is_awaited(place: Place) -> bool:
    parsed = module(place.file)
    return isinstance(parsed.expression(place) if parsed else None, ast.Await)


def _with_all_keys(text: str) -> str:
    keys = list(_KEY.finditer(text))
    if len(keys) != 1:  # of several, values would have to tell which one differs
        return f"# before the loop, once, for all rows\n# {text}"
    key = keys[0]
    name = key[1] or key[2]
    shape = f"{text[: key.start()]}{name} IN (?, ?, …){text[key.end() :]}"
    columns = shape[len("SELECT ") :].partition(" FROM ")[0]
    if shape.upper().startswith("SELECT ") and columns.strip() != "*" and name not in columns:
        shape = f"SELECT {name}, {shape[len('SELECT ') :]}"
    return f"# before the loop, once, with all keys; then pick each row's part by {name}\n# {shape}"


def of_commands(loop: Place, command: str) -> str:
    """Give the loop's commands as one, or as a pipeline."""
    wait = "await " if _is_awaited(loop) else ""
    if command == "GET":
        return f"# before the loop, once, with all keys\nvalues = dict(zip(keys, {wait}client.mget(keys)))"
    head = "async with" if wait else "with"
    method = {"DEL": "delete", "INCRBY": "incrby"}.get(command, command.lower())
    return (
        f"{head} client.pipeline(transaction=False) as pipeline:\n    for each in items:\n"
        f"        pipeline.{method}(...)  # the command as it is, not awaited\n    answers = {wait}pipeline.execute()"
    )

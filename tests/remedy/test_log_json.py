"""A record says the same whether it was encoded by msgspec or by the standard library."""

from __future__ import annotations

import json

SOURCE = """
    import sys
    if len(sys.argv) > 1:
        sys.modules["msgspec"] = sys.modules["msgspec.json"] = None  # as if it were not installed
    import datetime, decimal, uuid
    from microdelay.remedy import log_json
    assert (log_json._encode_plain is None) == (len(sys.argv) > 1)
    for value in [
        "ü\\n\\x00\\u2028", "\\ud800", 1, 2**64, -(2**70), 1.5, 1e300, float("nan"), float("inf"), True, None, b"ab",
        [1, {"a": None}], {1, }, (1, 2), datetime.date(2026, 1, 2), decimal.Decimal("1.5"), uuid.UUID(int=7),
        ValueError("x"),
    ]:
        for fields in ({"value": value}, {"value": value, "level": "x"}, {"value": value, "time": 1}):
            sys.stdout.buffer.write(log_json.encode(1.25, "said", fields, 1000, ',"level":"INFO"') + b"\\n")
    sys.stdout.buffer.write(log_json.encode(1.25, "m" * 2000, {"a": "b" * 2000}, 1000) + b"\\n")
"""


def test_the_encoders_agree(run_script):
    fast, slow = run_script(SOURCE), run_script(SOURCE, "slow")
    assert fast.returncode == slow.returncode == 0, fast.stderr + slow.stderr
    records = [[json.loads(line) for line in result.stdout.strip().split("\n")] for result in (fast, slow)]
    assert records[0] == records[1]
    assert len(records[0]) == 58
    assert records[0][0] == {"time": 1.25, "message": "said", "level": "INFO", "value": "ü\n\x00\u2028"}


LOGGING = """
    import sys
    if len(sys.argv) > 1:
        sys.modules["msgspec"] = sys.modules["msgspec.json"] = None  # as if it were not installed
    import json, logging
    from microdelay import BufferedHandler

    class Own(logging.Formatter):
        pass

    def send(records):
        for record in records:
            if record["logger"] == "shop":
                print(json.dumps(record | {"time": type(record["time"]).__name__}, sort_keys=True))

    logger = logging.getLogger("shop")
    logger.propagate = False
    logger.setLevel("DEBUG")
    for formatter in (None, logging.Formatter("%(message)s"), Own("%(levelname)s %(message)s")):
        handler = BufferedHandler(send, max_record_bytes=400)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        for message, arguments in [
            ("plain", ()), ("%d of %s", (1, "two")), ("%(a)s", ({"a": 1},)), ("%d", ("no number",)), (7, ()),
            ("long" * 200, ()), ("\\ud800", ()), ("100%", ()), ("%s", (["a list"],)),
        ]:
            for extra in (
                None, {"order": 7, "paid": True, "note": None}, {"level": "mine", "logger": "mine", "time": 1},
                {"tags": ["a"], "inner": {"b": 1.5}}, {"long": "x" * 500}, {"number": float("nan"), "big": 2**70},
            ):
                logger.warning(message, *arguments, extra=extra)
        try:
            raise KeyError("gone")
        except KeyError:
            logger.exception("it failed", extra={"order": 7})
        logger.info("stack", stack_info=True)
        torn = logging.LogRecord("shop", 20, "f.py", 1, "torn", None, None)
        del torn.threadName
        torn.order = 7
        logger.handle(torn)
        logger.removeHandler(handler)
        handler.close()
"""


def test_a_record_of_logging_says_the_same_with_either_encoder(run_script):
    fast, slow = run_script(LOGGING), run_script(LOGGING, "slow")
    assert fast.returncode == slow.returncode == 0, fast.stderr + slow.stderr
    records = [[json.loads(line) for line in result.stdout.strip().split("\n")] for result in (fast, slow)]
    assert len(records[0]) == 3 * (9 * 6 + 3)
    assert records[0] == records[1]
    assert records[0][1] == {
        "level": "WARNING", "logger": "shop", "message": "plain", "note": None, "order": 7, "paid": True,
        "time": "float",
    }  # fmt: skip

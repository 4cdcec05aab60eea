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

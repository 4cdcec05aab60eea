"""A batch is a sequence of records, each with an id that stays its own when the batch is taken apart."""

from __future__ import annotations

from microdelay.remedy.record_batch import Batch


def test_a_batch_is_the_sequence_of_its_records():
    batch = Batch([b"{1}", b"{2}", b"{3}"], "abc", range(7, 10))
    assert (len(batch), batch[1], list(batch), b",".join(batch)) == (
        3,
        b"{2}",
        [b"{1}", b"{2}", b"{3}"],
        b"{1},{2},{3}",
    )
    assert batch.ids == ["abc-7", "abc-8", "abc-9"]


def test_records_keep_their_ids_in_parts_and_halves():
    batch = Batch([b"{1}", b"{2}", b"{3}"], "abc", range(7, 10))
    assert batch.part([0, 2]).ids == ["abc-7", "abc-9"]
    first, second = batch.halves()
    assert (first.ids, second.ids, list(second)) == (["abc-7"], ["abc-8", "abc-9"], [b"{2}", b"{3}"])
    assert [*batch.part([0, 2]).halves()[1].ids] == ["abc-9"]


def test_batches_of_other_records_have_other_names():
    batch = Batch([b"{1}", b"{2}", b"{3}"], "abc", range(7, 10))
    first, second = batch.halves()
    parts = [batch, first, second, second.halves()[0], batch.part([0, 1]), batch.part([0, 2])]
    assert len({each.batch_id for each in parts}) == len(parts)
    assert Batch(list(batch), "abc", range(7, 10)).batch_id == batch.batch_id

"""Codecs, hashes, compressors and tokenizers: seen from a duration on, by name and size."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]


def codecs(made: Recording) -> list[Span]:
    return [span for span in made.spans if span.kind == "codec"]


def names(made: Recording) -> list[str]:
    return [span.name for span in codecs(made) if span.site]


def test_the_standard_librarys(recording: Record) -> None:
    made = recording(
        """
        import bz2, gzip, hashlib, io, json, lzma, pickle, zlib
        from json import dumps as bound_early
        class Own(json.JSONEncoder):
            def default(self, value): return str(value)
        def work():
            data = [{"n": n, "text": str(n)} for n in range(20_000)]
            text = json.dumps(data)
            json.loads(text); json.loads(text.encode()); json.load(io.StringIO(text)); json.dump(data, io.StringIO())
            bound_early(data); Own().encode(data); json.dumps(data, indent=1, cls=Own)
            pickled = pickle.dumps(data)
            pickle.loads(pickled); pickle.dump(data, io.BytesIO()); pickle.load(io.BytesIO(pickled))
            for module in (zlib, gzip, bz2, lzma): module.decompress(module.compress(pickled))
            hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 10_000)
            hashlib.scrypt(b"password", salt=b"salt", n=2048, r=8, p=1)
        work()
        """
    )
    compressors = [f"{name}.{verb}" for name in ("zlib", "gzip", "bz2", "lzma") for verb in ("compress", "decompress")]
    assert names(made) == [
        "json.dumps", "json.loads", "json.loads", "json.load", "json.dump", "json.dumps", "JSONEncoder.encode",
        "json.dumps", "pickle.dumps", "pickle.loads", "pickle.dump", "pickle.load", *compressors,
        "hashlib.pbkdf2_hmac", "hashlib.scrypt",
    ]  # fmt: skip
    sizes = {span.name: span.attributes.get("size", 0) for span in codecs(made)}
    assert sizes["zlib.compress"] == sizes["lzma.decompress"] == sizes["pickle.dumps"] > 100_000
    assert sizes["hashlib.scrypt"] == 0


def test_fast_libraries(recording: Record) -> None:
    made = recording(
        """
        import msgspec, orjson, zstandard
        def work():
            data = [{"n": n, "text": str(n)} for n in range(20_000)]
            orjson.loads(orjson.dumps(data))
            msgspec.json.decode(msgspec.json.encode(data))
            msgspec.msgpack.decode(msgspec.msgpack.encode(data))
            msgspec.convert(data, list[dict[str, int | str]])
            text = orjson.dumps(data)
            zstandard.decompress(zstandard.compress(text * 10, 9))
        work()
        """
    )
    assert names(made)[:7] == [
        "orjson.dumps", "orjson.loads", "msgspec.json.encode", "msgspec.json.decode", "msgspec.msgpack.encode",
        "msgspec.msgpack.decode", "msgspec.convert",
    ]  # fmt: skip
    assert names(made)[-2:] == ["zstandard.compress", "zstandard.decompress"]


def test_models_and_messages(recording: Record) -> None:
    made = recording(
        """
        from google.protobuf import json_format, struct_pb2
        from pydantic import BaseModel, TypeAdapter
        class Item(BaseModel):
            n: int
            text: str
        class Items(BaseModel):
            items: list[Item]
        class Special(Items):
            @classmethod
            def model_validate(cls, *args, **kwargs): return super().model_validate(*args, **kwargs)
        def work():
            data = {"items": [{"n": n, "text": str(n)} for n in range(20_000)]}
            items = Items.model_validate(data)
            Items.model_validate_json(items.model_dump_json())
            items.model_dump()
            assert type(Special.model_validate(data)) is Special
            adapter = TypeAdapter(list[Item])
            adapter.dump_json(adapter.validate_python(data["items"]))
            message = struct_pb2.Struct()
            json_format.ParseDict(data, message)
            encoded = message.SerializeToString()
            assert struct_pb2.Struct.FromString(encoded) == message
            struct_pb2.Struct().ParseFromString(encoded)
            json_format.MessageToJson(message)
        work()
        """
    )
    assert names(made) == [
        "pydantic.model_validate", "pydantic.model_dump_json", "pydantic.model_validate_json", "pydantic.model_dump",
        "pydantic.model_validate", "pydantic.validate_python", "pydantic.dump_json",
        "protobuf.ParseDict", "protobuf.SerializeToString", "protobuf.FromString", "protobuf.ParseFromString",
        "protobuf.MessageToJson",
    ]  # fmt: skip


def test_passwords_and_tokens(recording: Record) -> None:
    made = recording(
        """
        import os, sys, types
        extension = types.ModuleType("tiktoken_ext.small")
        def small():
            ranks = {bytes([n]): n for n in range(256)}
            ranks |= {bytes([n, m]): 256 + 256 * n + m for n in range(256) for m in range(256)}
            return {"name": "small", "pat_str": r"\\S+|\\s+", "mergeable_ranks": ranks, "special_tokens": {}}
        extension.ENCODING_CONSTRUCTORS = {"small": small}
        import bcrypt, tiktoken, tiktoken.registry
        tiktoken.registry.ENCODING_CONSTRUCTORS = extension.ENCODING_CONSTRUCTORS
        def work():
            bcrypt.checkpw(b"password", bcrypt.hashpw(b"password", bcrypt.gensalt(4)))
            encoding = tiktoken.get_encoding("small")
            tokens = encoding.encode("some text of many words " * 5_000)
            encoding.decode(tokens)
            encoding.encode_batch(["some text of many words " * 500] * 5)
        work()
        """
    )
    assert names(made)[:5] == [
        "bcrypt.hashpw", "bcrypt.checkpw", "tiktoken.encode", "tiktoken.decode", "tiktoken.encode_batch",
    ]  # fmt: skip
    assert set(names(made)[5:]) == {"tiktoken.encode"}  # in the threads of the batch
    (loading,) = [span for span in made.spans if span.kind == "setup"]
    assert (loading.name, loading.site and loading.site.function) == ("tiktoken.get_encoding", "work")

"""What a program can ask of codecs, and what they raise."""

import copy
import gzip
import hashlib
import inspect
import json
import multiprocessing.reduction
import pickle
import traceback
import zlib

import bcrypt
import msgspec
import orjson
import tiktoken
from google.protobuf import json_format, struct_pb2
from pydantic import BaseModel, TypeAdapter, ValidationError


def tries(function, *arguments, **named):
    try:
        print(repr(function(*arguments, **named))[:200])
    except BaseException:
        traceback.print_exc()


class Item(BaseModel):
    n: int


class Own(Item):
    def model_dump(self, **options):
        return super().model_dump(**options) | {"own": True}

    @classmethod
    def model_validate(cls, value, **options):
        return super().model_validate(value, **options)


for function in (
    json.dumps, json.loads, json.dump, json.JSONEncoder.encode, pickle.dumps, pickle.loads, pickle.load, zlib.compress,
    gzip.compress, hashlib.scrypt, hashlib.pbkdf2_hmac, orjson.dumps, orjson.loads, msgspec.json.encode, bcrypt.hashpw,
    msgspec.convert, json_format.Parse, tiktoken.get_encoding, tiktoken.Encoding.encode, Item.model_dump,
    TypeAdapter.validate_python,
):  # fmt: skip
    print(function.__module__, function.__qualname__, function.__name__, type(function).__name__)
    print(inspect.signature(function), inspect.isbuiltin(function), inspect.isfunction(function))
    print(pickle.loads(pickle.dumps(function)) is function, copy.deepcopy(function) is function, function.__doc__)
print(pickle.dumps(pickle.dumps), pickle.loads(multiprocessing.reduction.ForkingPickler.dumps([1])))
print(inspect.signature(Item), inspect.signature(Item.model_validate), Item.model_json_schema())
print(Item.model_validate.__self__, Item.model_validate.__name__, inspect.ismethod(Own.model_validate))
print(Own.model_validate({"n": 1}).model_dump(), Own(n=2).model_dump_json(), Item.__pydantic_custom_init__)
print(struct_pb2.Struct.SerializeToString(struct_pb2.Struct(fields={})), struct_pb2.Struct.FromString(b""))
print(pickle.loads(pickle.dumps(struct_pb2.Value(number_value=1))), pickle.loads(pickle.dumps(Item(n=1))))
tries(json.loads, "{")
tries(json.loads)
tries(json.dumps, {1, 2})
tries(json.dumps, [1], nonsense=1)
tries(orjson.loads, b"{")
tries(orjson.dumps, object)
tries(msgspec.json.decode, b"{")
tries(pickle.loads, b"nonsense")
tries(pickle.dumps, lambda: 0)
tries(zlib.decompress, b"nonsense")
tries(gzip.decompress, b"nonsense")
tries(bcrypt.checkpw, b"password", b"nonsense")
tries(hashlib.scrypt, b"password", salt=b"salt", n=3, r=8, p=1)
tries(Item.model_validate, {"n": "x"})
tries(Item.model_validate_json, "{")
tries(TypeAdapter(int).validate_python, "x")
tries(struct_pb2.Struct.FromString, b"\xff")
tries(struct_pb2.Struct().ParseFromString, b"\xff")
tries(json_format.Parse, "{", struct_pb2.Struct())
tries(tiktoken.get_encoding, "nonsense")
print(isinstance(ValidationError, type))

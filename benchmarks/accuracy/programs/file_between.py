"""One function writes what it fetched to a file, another one reads the file and asks a model about it."""

import base64
import tempfile
from pathlib import Path

import requests
import world

TRUTH = {"dependent": [["download", "embed"]]}

session = requests.Session()
folder = Path(tempfile.mkdtemp())


def download(n):
    content = session.get(world.url(f"/users/{n}")).content
    (folder / "user.json").write_bytes(content)
    return len(content)


def embed():
    text = base64.b64encode((folder / "user.json").read_bytes()).decode()
    reply = session.post(world.url("/v1/embeddings"), json={"model": "small", "input": text})
    return len(reply.json()["data"])


def before(n):
    size = download(n)  # at: download
    vectors = embed()  # at: embed
    return size > 0, vectors


if __name__ == "__main__":
    world.main(globals())

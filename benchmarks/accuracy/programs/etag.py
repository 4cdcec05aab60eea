"""Reads a version and sends it back with the change, so that nobody else's change is lost."""

import http.client
import json
from urllib.parse import urlsplit

import world

TRUTH = {"dependent": [["read", "write"]]}

connection = http.client.HTTPConnection(urlsplit(world.url()).netloc)


def call(method, path, body=None, **headers):
    connection.request(method, path, body, {"Content-Type": "application/json", **headers})
    return json.loads(connection.getresponse().read())


def before(n):
    user = call("GET", f"/users/{200 + n}")  # at: read
    saved = call("PUT", f"/users/{200 + n}", json.dumps({"name": "x"}), **{"If-Match": user["version"]})  # at: write
    return saved["saved"]


if __name__ == "__main__":
    world.main(globals())

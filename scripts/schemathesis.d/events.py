"""Reads some server-sent events, and looks whether they are as the description says."""

import json
import os
import sys
import urllib.request

address, token = sys.argv[1], os.environ["FOREWARM_TOKEN"]


def asked(path):
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://{address}{path}", headers=headers)
    return urllib.request.urlopen(request, timeout=10)


schemas = json.load(asked("/openapi.json"))["components"]["schemas"]
described = {name: set(schemas[name]["properties"]) for name in ("Sample", "Figures")}
with asked("/admin/events") as events:
    assert events.headers["Content-Type"] == "text/event-stream", events.headers
    seen = 0
    while seen < 3:
        line = events.readline().decode()
        if line.startswith("data:"):
            sample = json.loads(line.removeprefix("data:"))
            assert set(sample) == described["Sample"], sample
            assert set(sample["figures"]) == described["Figures"], sample
            seen += 1
print(f"{seen} events, as described")

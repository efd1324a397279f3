"""Pushes two records and a delete, then reads one record back.

Needs the package requests.
"""

import os
import time
from datetime import datetime, timezone
from urllib.parse import quote

import requests

URL = os.environ.get("PIPESYNC_URL", "http://127.0.0.1:8800")
ORGANIZATION = os.environ.get("PIPESYNC_ORGANIZATION_ID", "org_abc123")
STORE = os.environ.get("PIPESYNC_VECTOR_STORE_ID", "vs_demo")

session = requests.Session()
session.headers["X-API-Key"] = os.environ["PIPESYNC_API_KEY"]


def push(operations):
    """Sends one batch, again for as long as the server says that it may be."""
    batch = {
        "organization_id": ORGANIZATION,
        "vector_store_id": STORE,
        "sync_mode": "incremental",
        "sync_timestamp": datetime.now(timezone.utc).isoformat(),
        "operations": operations,
    }
    for attempt in range(10):
        reply = session.post(f"{URL}/v1/pipeline/sync", json=batch, timeout=30)
        if reply.ok:
            return reply.json()
        error = reply.json()["error"]
        if not error["retryable"]:
            raise SystemExit(f"{error['code']}: {error['message']} {error.get('details', '')}")
        time.sleep(int(reply.headers.get("Retry-After", "1")))
    raise SystemExit(f"gave up: {error['code']}: {error['message']}")


result = push([
    {"action": "upsert", "namespace": "clickup_tasks", "id": "task/1", "source_system": "clickup",
     "data": {"title": "Write the docs", "status": "open"}},
    {"action": "upsert", "namespace": "clickup_tasks", "id": "task/2", "source_system": "clickup",
     "data": {"title": "Cut the release", "status": "done"}},
    {"action": "delete", "namespace": "clickup_tasks", "id": "task/0"},
])
print(f"{result['sync_id']}: {result['results']}")

# An id is one part of the path: escape it.
record = session.get(
    f"{URL}/v1/vector-stores/{STORE}/namespaces/clickup_tasks/records/{quote('task/1', safe='')}", timeout=30)
record.raise_for_status()
print(record.json()["data"])

#!/usr/bin/env bash
# Pushes two records and a delete, then reads one record back.
set -euo pipefail
url=${PIPESYNC_URL:-http://127.0.0.1:8800}
organization=${PIPESYNC_ORGANIZATION_ID:-org_abc123}
store=${PIPESYNC_VECTOR_STORE_ID:-vs_demo}

curl --fail-with-body --silent --show-error "$url/v1/pipeline/sync" \
  -H "X-API-Key: $PIPESYNC_API_KEY" \
  -H "Content-Type: application/json" \
  --data @- <<JSON
{
  "organization_id": "$organization",
  "vector_store_id": "$store",
  "sync_mode": "incremental",
  "sync_timestamp": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "operations": [
    {"action": "upsert", "namespace": "clickup_tasks", "id": "task/1", "source_system": "clickup",
     "data": {"title": "Write the docs", "status": "open"}},
    {"action": "upsert", "namespace": "clickup_tasks", "id": "task/2", "source_system": "clickup",
     "data": {"title": "Cut the release", "status": "done"}},
    {"action": "delete", "namespace": "clickup_tasks", "id": "task/0"}
  ]
}
JSON
echo

# An id is one part of the path: escape it.
curl --fail-with-body --silent --show-error \
  -H "X-API-Key: $PIPESYNC_API_KEY" \
  "$url/v1/vector-stores/$store/namespaces/clickup_tasks/records/task%2F1"
echo

// Pushes two records and a delete, then reads one record back.
// Needs Node.js 18 or later, and nothing else.

const url = process.env.PIPESYNC_URL ?? "http://127.0.0.1:8800";
const organization = process.env.PIPESYNC_ORGANIZATION_ID ?? "org_abc123";
const store = process.env.PIPESYNC_VECTOR_STORE_ID ?? "vs_demo";
const headers = { "X-API-Key": process.env.PIPESYNC_API_KEY };

// Sends one batch, again for as long as the server says that it may be.
async function push(operations) {
  const body = JSON.stringify({
    organization_id: organization,
    vector_store_id: store,
    sync_mode: "incremental",
    sync_timestamp: new Date().toISOString(),
    operations,
  });
  let error;
  for (let attempt = 0; attempt < 10; attempt++) {
    const reply = await fetch(`${url}/v1/pipeline/sync`, {
      method: "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      body,
    });
    const answer = await reply.json();
    if (reply.ok) return answer;
    error = answer.error;
    if (!error.retryable) break;
    await new Promise((wake) => setTimeout(wake, 1000 * Number(reply.headers.get("Retry-After") ?? 1)));
  }
  throw new Error(`${error.code}: ${error.message} ${JSON.stringify(error.details ?? "")}`);
}

const result = await push([
  { action: "upsert", namespace: "clickup_tasks", id: "task/1", source_system: "clickup",
    data: { title: "Write the docs", status: "open" } },
  { action: "upsert", namespace: "clickup_tasks", id: "task/2", source_system: "clickup",
    data: { title: "Cut the release", status: "done" } },
  { action: "delete", namespace: "clickup_tasks", id: "task/0" },
]);
console.log(`${result.sync_id}:`, result.results);

// An id is one part of the path: escape it.
const record = await fetch(
  `${url}/v1/vector-stores/${store}/namespaces/clickup_tasks/records/${encodeURIComponent("task/1")}`,
  { headers },
);
if (!record.ok) throw new Error(`reading back: ${record.status} ${await record.text()}`);
console.log((await record.json()).data);

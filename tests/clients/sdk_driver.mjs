/* Makes the calls of a test in another language, a line of JSON each, with the installed client for TypeScript. */

import { createInterface } from "node:readline";

import { Griddy, GriddyError } from "griddy";

const headers = await import(new URL("node_modules/griddy/dist/headers.js", import.meta.url));

const NAMES = { api_keys: "apiKeys", video_assets: "videoAssets" };

async function valueOf(griddy, { do: what, method, path, json, resource, id, limit }) {
  if (what === "request") return (await griddy.request(method, path, json === null ? {} : { json })) ?? null;
  const rows = griddy[NAMES[resource] ?? resource];
  if (what === "retrieve") return rows.retrieve(id);
  const found = [];
  for await (const row of rows.list()) if (found.push(row) === limit) break;
  return found;
}

async function resultOf(call) {
  let tokens = 0;
  const provider = () => Promise.resolve(call.tokens[Math.min(tokens++, call.tokens.length - 1)]);
  const retry = { retries: call.retries, firstWaitSeconds: call.first_wait, longestWaitSeconds: call.longest_wait };
  try {
    const token = call.tokens.length > 1 ? provider : call.tokens[0];
    const griddy = new Griddy(call.url, token, { timeoutSeconds: call.timeout, retry });
    return { value: await valueOf(griddy, call), tokens };
  } catch (error) {
    if (!(error instanceof GriddyError)) return { refused: error.message, tokens };
    const { status, detail, requestId, missing, errors, retryAfter } = error;
    const fields =
      status === undefined
        ? null
        : {
            status,
            detail: detail ?? null,
            request_id: requestId ?? null,
            missing: missing ?? null,
            errors: errors ?? null,
            retry_after: retryAfter ?? null,
          };
    return { error: error.constructor.name, message: error.message, fields, tokens };
  }
}

const plain = (value) =>
  value instanceof Map
    ? Object.fromEntries(value)
    : Array.isArray(value)
      ? value.map(plain)
      : typeof value === "object" && value
        ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]))
        : (value ?? null);

function read(functions) {
  return Object.fromEntries(
    Object.entries(functions).map(([name, values]) => [name, values.map((value) => plain(headers[name](value)))]),
  );
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  console.log(JSON.stringify(order.read ? read(order.read) : await resultOf(order)));
}

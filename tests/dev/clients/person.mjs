// The conversation of a client with the test: it asks for a visit of the person's browser, and reports at the end.
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");

export const { api, document, mcp, redirect } = JSON.parse((await lines.next()).value);

/** The address to which the browser was sent back after a visit of this one. */
export async function visit(address) {
  say({ visit: String(address) });
  return new URL(JSON.parse((await lines.next()).value).redirected);
}

/** Tell the test what happened, and end. */
export function report(found) {
  say({ report: found });
  process.exit(0);
}

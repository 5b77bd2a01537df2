/* Executes commands, a line of JSON at a time: the TypeScript client, for tests in another language. */

import { createInterface } from "node:readline";

import { DecisionPoint, type Question } from "../../scripts/clients/authzen.ts";

type Order = { url: string; token: string; timeout: number; batch: number; questions: Question[]; alone: boolean };

async function obey({ url, token, timeout, batch, questions, alone }: Order): Promise<object> {
  const failures: string[] = [];
  const ids = new Set<string>();
  const log = ({ reason, requestId }: { reason: string; requestId: string }) => {
    failures.push(reason);
    ids.add(requestId);
  };
  let pdp: DecisionPoint;
  try {
    pdp = new DecisionPoint(url, token, { timeout: timeout * 1000, batch, log });
  } catch (error) {
    return { refused: String(error) };
  }
  const [first] = questions;
  const allowed = alone && first ? [await pdp.evaluate(first)] : await pdp.evaluateAll(questions);
  return { allowed, failures, ids: [...ids] };
}

for await (const line of createInterface({ input: process.stdin })) {
  // What JSON cannot say, a test says with a word.
  const order = JSON.parse(line, (_, value: unknown) => (value === "@NaN" ? Number.NaN : value)) as Order;
  console.log(JSON.stringify(await obey(order)));
}

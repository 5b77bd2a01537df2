/* Ask a decision point from a shell, or see how authzen.ts is used.
 *
 *   AUTHZEN_URL=http://127.0.0.1:8000 AUTHZEN_TOKEN=… node scripts/clients/ask.ts < scripts/clients/questions.jsonl
 *
 * Reads a question on each line, prints `allow` or `deny` for each, and says on standard error why there is no decision.
 * Exits with 0 when all are allowed, 1 when one is not, 2 when used wrongly. One question goes to
 * /access/v1/evaluation, more go to /access/v1/evaluations.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { DecisionPoint, type Question } from "./authzen.ts";

const USAGE = `usage: ask.ts [--timeout SECONDS] [--batch QUESTIONS] < questions.jsonl

  --timeout  seconds for the whole call (default 1)
  --batch    questions in one request, at most 1000 (default 100)

  example: AUTHZEN_URL=http://127.0.0.1:8000 AUTHZEN_TOKEN=… node scripts/clients/ask.ts < scripts/clients/questions.jsonl`;

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`set ${name} in the environment`);
  return value;
}

function prepared(): { pdp: DecisionPoint; questions: Question[] } {
  const { values } = parseArgs({
    options: {
      timeout: { type: "string", default: "1" },
      batch: { type: "string", default: "100" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const seen = new Set<string>();
  const pdp = new DecisionPoint(given("AUTHZEN_URL"), given("AUTHZEN_TOKEN"), {
    timeout: Number(values.timeout) * 1000,
    batch: Number(values.batch),
    log: ({ reason, requestId }) => {
      if (!seen.has(reason)) console.error(`${reason} (${requestId})`);
      seen.add(reason);
    },
  });
  const lines = readFileSync(0, "utf8").split("\n");
  const questions = lines.filter((line) => line.trim()).map((line) => JSON.parse(line) as Question);
  if (questions.length === 0) throw new Error("there is no question on standard input");
  return { pdp, questions };
}

async function main(): Promise<number> {
  try {
    const { pdp, questions } = prepared();
    const [first] = questions;
    const alone = first !== undefined && questions.length === 1;
    const allowed = alone ? [await pdp.evaluate(first)] : await pdp.evaluateAll(questions);
    for (const each of allowed) console.log(each ? "allow" : "deny");
    return allowed.every((each) => each) ? 0 : 1;
  } catch (error) {
    console.error(`${USAGE}\n\n${error instanceof Error ? error.message : error}`);
    return 2;
  }
}

process.exitCode = await main();

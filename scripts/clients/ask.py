"""Ask a decision point from a shell, or see how authzen.py is used.

    export AUTHZEN_URL=http://127.0.0.1:8000 AUTHZEN_TOKEN=…
    .venv/bin/python -m scripts.clients.ask < scripts/clients/questions.jsonl

Reads a question on each line, prints `allow` or `deny` for each, and says on standard error why there is no decision.
Exits with 0 when all are allowed, 1 when one is not, 2 when used wrongly. One question goes to /access/v1/evaluation,
more go to /access/v1/evaluations.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys

from scripts.clients.authzen import DecisionPoint, Question, Verdict


async def ask(pdp: DecisionPoint, questions: list[Question]) -> list[Verdict]:
    async with pdp:
        return [await pdp.evaluate(questions[0])] if len(questions) == 1 else await pdp.evaluate_all(questions)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds for the whole call (default 1)")
    parser.add_argument("--batch", type=int, default=100, help="questions in one request, at most 1000 (default 100)")
    options = parser.parse_args()
    try:
        url, token = os.environ["AUTHZEN_URL"], os.environ["AUTHZEN_TOKEN"]
        pdp = DecisionPoint(url, token, timeout=options.timeout, batch=options.batch)
        questions: list[Question] = [json.loads(line) for line in sys.stdin if line.strip()]
    except KeyError as missing:
        parser.error(f"set {missing.args[0]} in the environment")
    except json.JSONDecodeError as error:
        parser.error(f"a line is not JSON: {error}")
    except ValueError as error:
        parser.error(str(error))
    if not questions:
        parser.error("there is no question on standard input")
    verdicts = asyncio.run(ask(pdp, questions))
    for verdict in verdicts:
        print("allow" if verdict else "deny")
    for failure in dict.fromkeys(
        f"{verdict.failure} ({verdict.request_id})" for verdict in verdicts if verdict.failure
    ):
        print(failure, file=sys.stderr)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

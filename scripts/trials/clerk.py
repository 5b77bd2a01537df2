"""Compare what this program reads from session tokens with what Clerk's own backend SDK reads.

    .venv/bin/python -m scripts.trials.clerk                    # 1,000 tokens
    .venv/bin/python -m scripts.trials.clerk --count 20000 --seed 7
    .venv/bin/python -m scripts.trials.clerk --record           # write the answers that the tests compare with

The tokens are well-formed, half of each version, and signed. The SDK runs in Node and reads each token by `verifyToken`
and by `authenticateRequest`; this program verifies it as that of a request. Exits with 1 if the organization, the role,
the slug or a permission differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from tests.support.clerk_tokens import COUNT, RECORDED, SEED, session_claims
from tests.support.issuer import LiveIssuer
from tests.support.trials.clerk import differences, read_by_sdk, signed


def record(issuer: LiveIssuer) -> None:
    """Write what the SDK reads, a token to a line."""
    read = [verified for verified, _ in read_by_sdk(issuer, signed(issuer, session_claims()))]
    RECORDED.write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in read) + "\n]\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help=f"tokens (default {COUNT:,})")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--record", action="store_true", help="write the answers of the SDK about the default tokens")
    options = parser.parse_args()
    with LiveIssuer() as issuer, LiveIssuer() as other:
        if options.record:
            record(issuer)
            return 0
        found = asyncio.run(differences(issuer, other, options.count, options.seed))
    print("".join(f"FAULT {fault}\n" for fault in found[:20]), end="")
    print(f"{options.count:,} tokens, {len(found):,} differences")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

"""Compare the rows that each query reads with the most it may read, in databases with very many keys and decisions.

    python -m scripts.trials.explain                                  # 1,000,000 keys and 5,000,000 decisions in both
    python -m scripts.trials.explain --keys 20000 --decisions 100000
    python -m scripts.trials.explain --only sqlite --keep big/        # and keep the file, which is not filled again

Each query is sent by the program's own function, and each statement of it is explained with the plan that it has after
it was prepared and sent six times. Rows read are those that scans looked at, on SQLite a tenth of the instructions of
its virtual machine. Exits with 1 when a query reads more than it may.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.support.trials.filled_databases import today
from tests.support.trials.query_plans import on_postgresql, on_sqlite, print_table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--decisions", type=int, default=5_000_000)
    parser.add_argument("--only", choices=["postgresql", "sqlite"])
    parser.add_argument("--keep", type=Path, help="the directory for SQLite's file, kept")
    parser.add_argument("--no-seqscan", action="store_true", help="let PostgreSQL avoid to scan, as with more rows")
    options = parser.parse_args()
    now, wrong = today(), 0
    if options.only != "sqlite":
        wrong += print_table("PostgreSQL", asyncio.run(on_postgresql(options, now)))
    if options.only != "postgresql":
        with tempfile.TemporaryDirectory() as directory:
            wrong += print_table("SQLite", asyncio.run(on_sqlite(options, now, options.keep or Path(directory))))
    print(f"\n{wrong} of the queries read more than they should." if wrong else "\nNo query reads more than it should.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The preview of a draft at full size: each part from a sample and from everybody, as the page asks for it.

    .venv/bin/python benchmarks/preview.py [--rounds 3] [--lake DIR]

Uses the database that benchmarks/population.py leaves behind (run that first), which it only reads, and the lake in
`--lake` (a temporary folder if left out; built, or brought up to date, before anything is measured). Each part is
asked of the view itself, without HTTP: six definitions like those of benchmarks/columnar.py, for sales, so that the
rate comes with a ladder of thresholds. The fastest of `--rounds`, and the largest size of this process at the end.
Expected: each part within 2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from typing import Any

from columnar import SIX
from ingest import ROOT
from population import NAME

PARTS = ("who", "rate", "near")


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given.add_argument("--server", default="postgres://postgres@127.0.0.1:5432")
    given.add_argument("--rounds", type=int, default=3)
    given.add_argument("--lake")
    given.add_argument("--quick", action="store_true", help="leave out the rate of everybody, which takes longest")
    args = given.parse_args()
    folder = args.lake or tempfile.mkdtemp(prefix="plgops-lake-")
    os.environ |= {
        "DATABASE_URL": f"{args.server}/{NAME}",
        "LAKE_DIR": folder,
        "DJANGO_SETTINGS_MODULE": "plgops.settings",
    }
    sys.path.insert(0, str(ROOT))
    import django

    django.setup()
    from django.utils import timezone

    from accounts import lake

    generation = lake.refresh(now=timezone.now())
    print(f"{generation.accounts:,} accounts, {generation.rows:,} usage rows")
    print("\n| definition | part | sample s | CPU s | everybody s | CPU s |\n|---|---|---:|---:|---:|---:|")
    for name, rule in SIX.items():
        for part in PARTS:
            told = []
            for exact in ("", "1"):
                if args.quick and exact and part == "rate":
                    told += ["", ""]
                    continue
                best = min(asked(name, rule, part, exact) for _ in range(args.rounds))
                told += [f"{seconds:.2f}" for seconds in best]
            print(f"| {name} | {part} | {' | '.join(told)} |", flush=True)
    print(f"\nLargest size: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def asked(name: str, rule: dict[str, Any], part: str, exact: str) -> tuple[float, float]:
    """Seconds that the view takes for one part, and those of CPU in all threads of this process."""
    from django.test import RequestFactory

    from accounts.models import StaffUser
    from scoring.views.preview import draft

    document = {"slug": "a-draft", "name": name, "purpose": "pql", "rule": rule}
    request = RequestFactory().post("/", {"text": json.dumps(document), "slug": "", "part": part, "exact": exact})
    request.user = StaffUser(is_superuser=True)
    request.htmx = True
    began, worked = time.perf_counter(), time.process_time()
    response = draft(request)
    took = time.perf_counter() - began, time.process_time() - worked
    assert response.status_code == 200 and b"Try again" not in response.content, response.content
    return took


if __name__ == "__main__":
    main()

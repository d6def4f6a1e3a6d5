"""One contender in a process of its own: sets up, then measures one call for each line that it reads.

Runs in a peer's environment as well, so it needs nothing but the standard library. Started as
``python speed_worker.py module:function JSON-arguments``; the function's result is called once for each line on stdin,
and a line of JSON answers: seconds of wall and processor time (children's included), peak memory of the process so far
in bytes, and what the call returned.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    # What the contender prints is no answer: answers go to the stdout that we were started with.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    module, function = sys.argv[1].split(":")
    call = getattr(importlib.import_module(module), function)(**json.loads(sys.argv[2]))
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        gc.collect()
        cpu, wall = _processor_seconds(), time.perf_counter()
        returned = call()
        wall, cpu = time.perf_counter() - wall, _processor_seconds() - cpu
        said = {"wall": wall, "cpu": cpu, "peak": _peak_bytes(), "returned": returned}
        print(json.dumps(said), file=answers, flush=True)


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_bytes() -> int:
    # Not ru_maxrss, which a child takes over from its parent on exec.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()

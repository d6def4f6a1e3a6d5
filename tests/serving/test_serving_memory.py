"""What a request of the model server took stays with its process for the next one, and large ones give theirs back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Faults of rounds in which three blocks are taken and freed, as the copies of a request are.
ROUNDS = """
import resource, sys
from flywheel.serving.memory import keep_freed_memory
size, rounds, is_kept = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "kept"
assert not is_kept or keep_freed_memory()
def taken():
    blocks = [bytearray(size) for _ in range(3)]
    for block in blocks:
        block[::4096] = bytes(len(block[::4096]))
for _ in range(5):
    taken()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(rounds):
    taken()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(size: int, rounds: int, kind: str) -> int:
    return int(subprocess.check_output([sys.executable, "-c", ROUNDS, str(size), str(rounds), kind]))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_the_memory_of_a_request_is_not_faulted_in_again() -> None:
    size = 1_600_000
    assert faults(size, 50, "default") > 50 * size / 4096
    assert faults(size, 50, "kept") < size / 4096


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_the_memory_of_a_very_large_request_goes_back() -> None:
    size = 40 * 2**20
    assert faults(size, 3, "kept") > 3 * size / 4096

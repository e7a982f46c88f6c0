"""What the benchmarks say a program took of memory is what it and its children had at once, each page counted once."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.measure import busy, watching

_MIB = 2**20
_WITH_A_CHILD = """
import subprocess, sys
mine = bytearray(20 * 2**20)
child = subprocess.Popen([sys.executable, "-c", "theirs = bytearray(30 * 2**20); print(); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
input()
child.communicate(b"\\n")
"""


def _peak(program: str) -> int:
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with watching(process.pid) as peak:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.3)
        process.communicate(b"\n")
    return max(peak)


def test_a_child_counts_with_what_is_its_own_and_not_with_what_it_shares() -> None:
    alone = _peak("mine = bytearray(20 * 2**20); print(flush=True); input()")

    together = _peak(_WITH_A_CHILD)

    # What Python itself keeps in memory of its own is some megabytes more for the child; its files are shared.
    assert together - alone > 30 * _MIB
    assert together - alone < 40 * _MIB


def test_what_a_process_had_for_a_moment_only_counts_too() -> None:
    peak = _peak("gone = bytearray(50 * 2**20); del gone; print(flush=True); input()")

    assert peak > 50 * _MIB


def test_a_core_that_works_all_the_time_is_one_that_is_busy() -> None:
    worked, began = busy(), time.process_time()

    while time.process_time() - began < 0.5:
        pass

    assert busy() - worked > 0.4

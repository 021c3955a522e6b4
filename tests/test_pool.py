"""Processes that share out work: what is lost when one dies, and what is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from crayoncodec.files import pool


class Work:
    """What an item asks for."""

    def __init__(self):
        self.count = 0

    def __call__(self, item):
        self.count += 1
        name, argument = item
        match name:
            case "count":
                return self.count
            case "environment":
                return os.environ.get("OMP_NUM_THREADS")
            case "die":
                os._exit(1)
            case "die once":
                if not Path(argument).exists():
                    Path(argument).touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                time.sleep(argument)
        return name


def run(items, workers=2):
    return [*pool.run(items, Work(), workers, lambda item: "lost")]


def test_each_item_has_its_result():
    items = [("sleep", 0.2), *(("a", number) for number in range(20))]
    results = run(items)
    assert sorted(results) == sorted((item, item[0]) for item in items)
    # What is slow holds up nothing.
    assert results[-1][0] == ("sleep", 0.2) or results.index((items[0], "sleep")) > 5
    assert run([]) == []


def test_what_a_process_loads_it_keeps():
    assert [result for _, result in run([("count", 0)] * 10, workers=1)] == [*range(1, 11)]


def test_items_are_taken_as_they_are_needed():
    taken = 0

    def items():
        nonlocal taken
        for number in range(40):
            taken = number + 1
            yield ("a", number)

    for done, _ in enumerate(pool.run(items(), Work(), 2, lambda item: "lost")):
        assert taken <= done + 1 + 2 * 2


def test_only_what_kills_is_lost(tmp_path):
    items = [
        ("die once", str(tmp_path / "one")),
        *(("a", number) for number in range(8)),
        ("die", 0),
        ("b", 0),
    ]
    assert sorted(run(items)) == sorted((item, "lost" if item[0] == "die" else item[0]) for item in items)


def test_all_may_die():
    assert {result for _, result in run([("die", number) for number in range(4)])} == {"lost"}


def test_libraries_share_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert run([("environment", 0)], pool.cores())[0][1] == "1"
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert run([("environment", 0)], pool.cores())[0][1] == "3"


def test_what_is_under_way_is_dropped():
    start = time.monotonic()
    with closing(pool.run([("a", 0), ("sleep", 60)], Work(), 2, lambda item: "lost")) as results:
        assert next(results) == (("a", 0), "a")
    assert time.monotonic() - start < 20


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks /proc who is there")
def test_processes_end_with_a_parent_that_is_killed():
    program = (
        "import test_pool\n"
        "if __name__ == '__main__':\n"
        "    items = [('a', 0), ('a', 1), ('sleep', 60), ('sleep', 60)]\n"
        "    for item, _ in test_pool.pool.run(items, test_pool.Work(), 2, None):\n"
        "        print(item, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout.readline()
        assert parent.stdout.readline()
        children = _children(parent.pid)
        assert children
        parent.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

"""What is particular to a process."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from crayoncodec.machine import process


def test_ctrl_c_waits():
    before, done = signal.getsignal(signal.SIGINT), []

    def work():
        with process.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ignored", [False, True])
def test_then_the_program_handles_it(ignored, monkeypatch):
    came = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else lambda *_: came.append(True))
    try:
        with process.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            assert not came
    finally:
        signal.signal(signal.SIGINT, before)
    assert bool(came) != ignored


def test_what_is_raised_meanwhile_comes_first():
    def work():
        with process.uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_other_threads_have_no_signals():
    entered = []

    def work():
        with process.uninterrupted():
            entered.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered

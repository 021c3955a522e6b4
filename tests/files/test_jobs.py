"""Files that are converted one by one: each comes out whole or not at all, whatever happens to others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commandline import PHOTO, names

import crayoncodec
from crayoncodec import errors
from crayoncodec.files import atomic, jobs

pytestmark = pytest.mark.usefixtures("folder")


def die_of(read, extension):
    """A conversion that takes its process with it, unless the target is a good one."""
    if extension == ".bad":
        os._exit(1)
    return read(), {}


def test_only_the_job_that_kills_its_worker_fails():
    planned = [jobs.Job("photo.png", target) for target in ("a.bad", "b.good", "c.good", "d.bad", "e.good")]
    outcomes = [*jobs.run(planned, die_of, workers=2)]
    assert [outcome.job for outcome in outcomes] == planned
    assert {outcome.error for outcome in outcomes if outcome.code} == {"its process died, out of memory?"}
    assert [outcome.code for outcome in outcomes] == [1, 0, 0, 1, 0]
    assert [name for name in names() if name.endswith(".good")] == ["b.good", "c.good", "e.good"]


def test_whatever_goes_wrong_with_one_file_the_others_are_done():
    def convert(read, extension):
        if extension == ".bad":
            raise RuntimeError("something\nnobody thought of")
        return read(), {}

    outcomes = [*jobs.run([jobs.Job("photo.png", "a.bad"), jobs.Job("photo.png", "b.good")], convert)]
    assert [outcome.error for outcome in outcomes] == ["RuntimeError something nobody thought of", None]


def test_files_appear_whole_or_not_at_all():
    before = names()
    with pytest.raises(TypeError), atomic.atomic_write(Path("photo.cray")) as stream:
        stream.writelines([b"half of i", "t"])
    assert names() == before
    assert Path("photo.cray").read_bytes() == crayoncodec.encode(PHOTO)
    Path("taken").mkdir()
    with pytest.raises(IsADirectoryError):
        crayoncodec.write("taken", PHOTO)
    assert names() == before


def test_exit_codes_of_several():
    for codes, code in [
        ([], 0),
        ([0, 0], 0),
        ([0, 3], 1),
        ([0, 4], 1),
        ([3], 3),
        ([1, 3], 3),
        ([3, 4, 1], 4),
    ]:
        assert errors.exit_code(codes) == code

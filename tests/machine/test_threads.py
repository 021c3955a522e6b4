"""Parts in several threads: what comes out is what one thread gives, and settings are left as they were."""

from __future__ import annotations

import multiprocessing
import threading

import cv2
import numpy as np
import pytest
from pictures import photo
from threadpoolctl import threadpool_info

import crayoncodec
from crayoncodec.color.grid import sample_rendered
from crayoncodec.machine import threads


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_parts_come_back_in_order(four_threads):
    assert threads.count() == 4
    assert threads.each(lambda part: part * part, range(50)) == [part * part for part in range(50)]


def test_one_thread_works_where_it_is():
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        assert (
            threads.each(lambda _: threading.current_thread(), range(3)) == [threading.current_thread()] * 3
        )
    finally:
        cv2.setNumThreads(before)


def test_parts_may_have_parts(four_threads):
    """Each in the thread of its own part: more would wait for each other."""

    def work(part):
        return threads.each(lambda _: threading.current_thread().name, range(part))

    found = threads.each(work, [3] * 8)
    assert all(len(set(names)) == 1 for names in found)


def test_an_error_is_the_callers(four_threads):
    def work(part):
        if part == 5:
            raise ValueError("part 5")
        return part

    with pytest.raises(ValueError, match="part 5"):
        threads.each(work, range(20))


def test_libraries_have_one_thread_within_and_theirs_again_after(four_threads):
    threads._libraries.cache_clear()  # looked for once, and other tests may have loaded more since
    before = blas_threads()
    within = threads.each(lambda _: blas_threads(), range(4), products=True)
    assert all(set(counts) == {1} for counts in within)
    assert blas_threads() == before


def test_guided_colours_are_sampled_with_libraries_in_one_thread_each(four_threads):
    """What renders multiplies matrices, and a part of it is no place for more threads."""
    threads._libraries.cache_clear()
    counts = []

    def render(rows):
        counts.extend(blas_threads())
        return np.zeros((2, rows.stop - rows.start, 2000), np.float32)

    sample_rendered((1000, 2000), 4, "mean", render)
    assert set(counts) == {1}


def test_settings_come_back_after_overlapping_calls(four_threads):
    before, barrier = blas_threads(), threading.Barrier(2)

    def call():
        threads.each(lambda part: part == 0 and barrier.wait(10), range(4), products=True)

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert blas_threads() == before


@pytest.mark.parametrize("width", [1, 100, 513, 100_000])
@pytest.mark.parametrize("height", [1, 7, 8, 9, 64, 65, 1000, 2**20])
def test_bands_cover_all_rows_once(height, width, four_threads):
    rows = np.zeros(height, int)
    for band in threads.bands(height, width):
        assert (band.stop - band.start) * width <= 64 * max(width, 1024)
        rows[band] += 1
    assert (rows == 1).all()


def test_a_part_is_one_band(four_threads):
    """It has one thread: what is cut for several would only be slower."""
    assert threads.each(lambda _: threads.bands(64), range(4)) == [[slice(0, 64)]] * 4
    assert len(threads.bands(64)) == 8


def test_bands_do_not_show(four_threads, monkeypatch):
    """Files and pictures are the same whatever the bands are."""
    image = photo(150, 110)
    found = []
    for bands in (threads.bands, lambda height, _=0: [slice(0, height)], lambda height, _=0: [
        slice(top, min(top + 1, height)) for top in range(height)
    ]):  # fmt: skip
        monkeypatch.setattr(threads, "bands", bands)
        monkeypatch.setattr(threads, "_LONG", 7 if found else 10_000)  # columns, too
        data = crayoncodec.encode(image, color_quality=95)
        decoded = crayoncodec.decode(data, color="guided").astype(int)
        found.append((data, decoded))
    assert found[0][0] == found[1][0] == found[2][0]
    # Products of another size are rounded otherwise.
    assert max(np.abs(decoded - found[0][1]).max() for _, decoded in found) <= 1


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(four_threads):
    threads.each(lambda part: part, range(8))
    queue = multiprocessing.get_context("fork").SimpleQueue()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: queue.put(threads.each(lambda part: part, range(8)))
    )
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert queue.get() == list(range(8))

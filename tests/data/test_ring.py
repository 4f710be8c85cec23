import tracemalloc

import numpy as np
import pytest

from vaelab.data.ring import Factory, Pace, Ring


def numbered(first, count):
    return np.arange(first, first + count, dtype=np.float32)[:, None]


def factory(n, size=16, chunk=4, **settings):
    """Codes are 0, 1, 2, …, and an item is its code times ten, twice."""
    made = iter(range(10**9))
    return Factory(
        lambda k: np.array([[next(made)] for _ in range(k)], np.float32),
        lambda codes, out: np.copyto(out, 10 * codes),
        **{"code_shape": (1,), "shape": (2,), "n": n, "size": size, "chunk": chunk, **settings},
    )


def run(made):
    taken = []
    while not made.done:
        taken.append(made.turn().copy())
        assert made.filling.held <= 16 and made.emptying.held <= 16 and made.items.held <= 16
        rings = made.filling.held + made.emptying.held + made.items.held
        assert made.made == made.taken + made.overwritten + rings
    return np.concatenate(taken)


def test_a_ring_keeps_order_round_and_round():
    ring, rng, came, left = Ring(7, (1,)), np.random.default_rng(0), 0, []
    for _ in range(200):
        count = int(rng.integers(0, ring.free + 1))
        ring.write(numbered(came, count))
        came += count
        left.append(ring.read(int(rng.integers(0, 9))).copy())
    left.append(ring.read(7).copy())
    assert came > 100 and ring.overwritten == 0
    assert np.array_equal(np.concatenate(left), numbered(0, came))


@pytest.mark.parametrize("counts", [[3, 4, 1], [5, 5, 5], [12], [2, 20], [7, 7]])
def test_a_full_ring_loses_its_oldest_and_counts_them(counts):
    ring = Ring(7, (1,))
    for k, count in enumerate(counts):
        ring.write(numbered(sum(counts[:k]), count))
    lost = max(0, sum(counts) - 7)
    assert ring.overwritten == lost and ring.held == sum(counts) - lost and ring.free == 7 - ring.held
    assert np.array_equal(ring.read(100), numbered(lost, sum(counts) - lost))


def test_the_slots_show_what_lies_where():
    ring = Ring(4, (1,))
    ring.write(numbered(0, 3))
    ring.read(2)
    ring.write(numbered(3, 2))
    assert np.array_equal(ring.slots()[:, 0], [4, np.nan, 2, 3], equal_nan=True)


def test_nothing_is_decoded_before_the_ring_is_full_and_then_the_rings_swap():
    made = factory(n=None)
    for k in range(3):
        assert len(made.turn()) == 0 and made.filling.held == 4 * (k + 1) and made.emptying.held == 0
    assert made.turn()[:, 0].tolist() == [0, 10, 20, 30]
    assert made.filling.held == 0 and made.emptying.held == 12
    made.turn()
    assert made.filling.held == 4 and made.emptying.held == 8


@pytest.mark.parametrize("n", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize(("produce", "consume"), [(1, 1), (3.5, 0.3), (0.4, 5), (100, 0.01), (0.01, 100)])
def test_blocking_loses_nothing_and_keeps_order_at_any_pace(n, produce, consume):
    made = factory(n, produce=produce, consume=consume)
    taken = run(made)
    assert np.array_equal(taken[:, 0], 10 * np.arange(n)) and np.array_equal(taken[:, 0], taken[:, 1])
    assert made.overwritten == 0 and made.made == made.decoded == made.taken == n


@pytest.mark.parametrize(("produce", "consume"), [(2, 1), (1, 0.5), (3, 0.25), (30, 1), (1, 1)])
def test_overwriting_keeps_the_order_and_counts_what_is_lost(produce, consume):
    made = factory(1000, overflow="overwrite", produce=produce, consume=consume)
    numbers = run(made)[:, 0] / 10
    assert (np.diff(numbers) > 0).all() and numbers[-1] == 999
    assert made.overwritten == 1000 - len(numbers)
    assert (made.overwritten > 0) == (produce > 1 or consume < 1)


@pytest.mark.parametrize("chunk", [1, 3, 4, 16])
@pytest.mark.parametrize(("produce", "consume"), [(1.0, 0.5), (1.5, 0.3), (2.7, 0.01), (1.1, 0.9)])
def test_the_paces_are_those_asked_for_whatever_the_chunk(chunk, produce, consume):
    made = factory(None, chunk=chunk, overflow="overwrite", produce=produce, consume=consume)
    while made.decoded < 16:
        made.turn()
    before = made.made, made.decoded, made.taken
    while made.decoded < 3000:
        made.turn()
    produced, decoded, taken = made.made - before[0], made.decoded - before[1], made.taken - before[2]
    assert produced == pytest.approx(produce * decoded, abs=2 + produce * chunk)
    assert taken == pytest.approx(consume * decoded, abs=2 + chunk)


def test_a_slow_consumer_in_a_chunk_of_one_takes_every_second():
    made = factory(None, chunk=1, overflow="overwrite", consume=0.5)
    while made.decoded < 400:
        made.turn()
    assert made.taken == 200 and made.overwritten == 400 - 200 - made.items.held


@pytest.mark.parametrize("rate", [0.01, 0.29, 0.5, 1.0, 1 / 3, 2.7, 100.0])
def test_a_pace_is_exact_on_average_and_never_a_whole_number_off(rate):
    pace, given = Pace(rate), 0
    for asked in range(7, 7 * 1001, 7):
        given += pace.of(7)
        assert abs(given - rate * asked) < 1
    assert given == pytest.approx(7000 * rate, abs=1)


def test_a_producer_twice_as_fast_loses_half_of_what_comes_while_a_ring_is_emptied():
    made = factory(None, overflow="overwrite", produce=2)
    while made.decoded < 160:
        made.turn()
    # Nine times 32 came while 16 were decoded, of which 16 stayed; then, in three turns more, 24.
    assert made.filling.overwritten + made.emptying.overwritten == made.overwritten == 9 * 16 + 8
    assert made.items.overwritten == 0


def test_a_consumer_half_as_fast_loses_half_of_what_is_decoded_once_its_ring_is_full():
    made = factory(None, overflow="overwrite", consume=0.5)
    while made.decoded < 400:
        made.turn()
    assert made.overwritten == made.items.overwritten == made.decoded - made.taken - made.items.held
    assert made.taken == 200 and made.items.held == 14


def test_memory_stays_flat_over_a_hundred_thousand_items():
    codes = np.zeros((64, 2), np.float32)
    made = Factory(
        lambda k: codes[:k],
        lambda z, out: out.fill(0),
        code_shape=(2,),
        shape=(8,),
        n=None,
        size=512,
        chunk=64,
    )
    tracemalloc.start()
    try:
        while made.taken < 10_000:
            made.turn()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        while made.taken < 110_000:
            made.turn()
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now - before < 2000 and peak - before < 20_000

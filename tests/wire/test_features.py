# SPDX-License-Identifier: MIT
"""DEVICE_FEATURE: what the server says of a client's memory, and which pages the device wrote."""

import errno
import os
import struct

import pytest

import feature
from daemon import Vfiod, wait_for
from dma import FILL, HOLD, SEALED, deposit, fetch, file_of, run
from feature import (BY_MESSAGE, DIRTY_REPORT, DIRTY_START, DIRTY_STOP, EVENT, FAULT,
                     FAULT_EVENT, GET, IN_PLACE, IOVA_RANGES, ISOLATED, ISOLATION, NO_LIMIT,
                     OPERATIONS, PROBE, REPORT, SET, SIGNALLED, SIZES, START, VECTORS, ask, dirty, dirty_start,
                     fault, limits, maps, tell_of_faults)
from signals import Signal
from wire import Cmd, NO_REPLY, PAGE, READ, UNMAP_ALL, WRITE

TOP = 1 << 64

every_feature = pytest.mark.parametrize('number', list(SIZES))


def kept(probe, client):
    """The server's descriptors, when those of the last message are closed."""
    client.ping()
    return probe.fds()


# ---- each of them, right and wrong ----------------------------------------------------------


@pytest.mark.parametrize('number', [0, 1, 2, 3, 9, 0xeffe, 0xf00a, 0xffff])
@pytest.mark.parametrize('operation', [GET, SET, PROBE | GET, PROBE, 0])
def test_what_there_is_not(client, number, operation):
    assert ask(client, operation | number, bytes(8)) == 'ENOTTY'


@every_feature
def test_probe(client, number):
    """It says that there is one, and does nothing; the request comes back."""
    operation = OPERATIONS[number]
    for flags in (PROBE, PROBE | operation):
        for data in (b'', bytes(3), bytes(SIZES[number]), bytes(100)):
            assert ask(client, flags | number, data) == data
    for flags in (PROBE | (GET | SET), PROBE | (GET | SET) & ~operation):
        assert ask(client, flags | number, bytes(SIZES[number])) == 'EINVAL'


@every_feature
def test_the_wrong_operation(client, number):
    other = (GET | SET) & ~OPERATIONS[number]
    for flags in (0, other, GET | SET):
        assert ask(client, flags | number, bytes(SIZES[number])) == 'EINVAL'


@every_feature
def test_too_short(client, number):
    for size in range(SIZES[number]):
        assert ask(client, OPERATIONS[number] | number, bytes(size)) == 'EINVAL'


@every_feature
def test_too_long(client, number):
    body = feature.feature(OPERATIONS[number] | number, bytes(8193))
    assert client.refused(Cmd.FEATURE, body) == 'EINVAL'


@every_feature
@pytest.mark.parametrize('argsz', [0, 7])
def test_argsz_below_the_head(client, number, argsz):
    assert ask(client, OPERATIONS[number] | number, bytes(SIZES[number]), argsz=argsz) == 'EINVAL'


@pytest.mark.parametrize('number', [number for number in SIZES if OPERATIONS[number] == GET])
def test_an_answer_that_does_not_fit(client, number):
    data = bytes(SIZES[number])
    assert ask(client, GET | number, data, argsz=8 + len(data) - 1) == 'EINVAL'


@pytest.mark.parametrize('number', [number for number in SIZES if OPERATIONS[number] == GET and
                                    number != DIRTY_REPORT])
@pytest.mark.parametrize('argsz', [0, 1, 100, 4000, 8192])
def test_room_for_the_answer(client, number, argsz):
    """argsz says how long the answer can be; the rest of it is zero."""
    answer = ask(client, GET | number, bytes(SIZES[number]))
    more = ask(client, GET | number, bytes(SIZES[number]), argsz=8 + SIZES[number] + argsz)
    assert len(answer) == SIZES[number]
    assert more == (answer + bytes(argsz))[:8192]
    assert ask(client, GET | number, b'', argsz=8 + SIZES[number]) == answer


@pytest.mark.parametrize('number', [number for number in SIZES if number != FAULT_EVENT])
def test_descriptors_that_do_not_belong(probe, client, number):
    before, event = probe.fds(), Signal()
    for flags in (OPERATIONS[number], PROBE, GET | SET):
        assert ask(client, flags | number, bytes(SIZES[number]), [event]) == 'EINVAL'
    client.post(Cmd.FEATURE, feature.feature(OPERATIONS[number] | number, bytes(SIZES[number])),
                [event], flags=NO_REPLY)
    assert kept(probe, client) == before


def test_isolation(client):
    """The model behind the server is a program; the question is not looked at."""
    for question in (bytes(8), b'\xff' * 8):
        assert ISOLATED.unpack(feature.get(client, ISOLATION, question)) == (1, 1)


def test_signalled_vectors_of_an_index_that_there_is_not(client):
    for index in (5, 0xffffffff):
        assert ask(client, GET | SIGNALLED, VECTORS.pack(index, 0, b'')) == 'EINVAL'


# ---- maps and limits ------------------------------------------------------------------------


def test_maps(client):
    """By address, whatever the order in which they were made; with the way to the memory."""
    assert maps(client) == []
    with file_of(4, b'', SEALED) as sealed, file_of(1) as file:
        client.map(TOP - PAGE, PAGE, flags=READ)
        client.map(0x10000, 3 * PAGE, sealed, offset=PAGE, flags=WRITE)
        client.map(0, PAGE, file)
        expected = [(0, PAGE, READ | WRITE, IN_PLACE), (0x10000, 3 * PAGE, WRITE, IN_PLACE),
                    (TOP - PAGE, PAGE, READ, BY_MESSAGE)]
        assert maps(client)[:2] == expected[:2]
        question = feature.MAP.pack(0x10000 + 3 * PAGE, 0, 0, 0, 0, 0, 0)
        cursor, *last, found, _ = feature.MAP.unpack(feature.get(client, feature.DMA_MAP, question))
        assert (cursor, tuple(last), found) == (0, expected[2], 1), 'there is none behind it'
        client.unmap(0x10000, 3 * PAGE)
        client.unmap(TOP - PAGE, PAGE)
        assert maps(client) == expected[:1]


def test_limits(client):
    assert limits(client) == ((1 << 20, 1 << 20, 0), (NO_LIMIT, NO_LIMIT, 0))
    with file_of(4) as file:
        client.map(0, 4 * PAGE, file)
        client.map(1 << 40, PAGE)
        assert client.map_refused(0, PAGE) == 'EEXIST'
    assert limits(client) == ((1 << 20, 1 << 20, 2), (NO_LIMIT, NO_LIMIT, 5 * PAGE))
    client.unmap(0, 4 * PAGE)
    assert limits(client) == ((1 << 20, 1 << 20, 1), (NO_LIMIT, NO_LIMIT, PAGE))
    client.unmap(0, 0, UNMAP_ALL)
    assert limits(client)[0][2] == limits(client)[1][2] == 0


@pytest.fixture
def bounded(tmp_path):
    """A client of a probe whose administrator has bounded it."""
    vfiod = Vfiod('probe', tmp_path, '--policy', 'max-maps=3', '--policy', 'max-dma=64K',
                  '--policy', 'iova=0x10000-0xfffff,0x200000-0xffffffffffffffff')
    with vfiod.connect() as client:
        client.bus_master()
        yield client
    vfiod.check_alive()
    vfiod.stop()


def test_limits_of_the_policy(bounded):
    assert limits(bounded) == ((1 << 20, 3, 0), (NO_LIMIT, 0x10000, 0))
    bounded.map(0x10000, 0xf000)
    assert bounded.map_refused(0x30000, 2 * PAGE) == 'ENOMEM'
    bounded.map(0x30000, PAGE)
    assert bounded.map_refused(0x31000, PAGE) == 'ENOMEM'
    bounded.unmap(0x10000, 0xf000)
    bounded.map(0x40000, PAGE)
    bounded.map(0x50000, PAGE)
    assert bounded.map_refused(0x60000, PAGE) == 'ENOSPC'
    assert limits(bounded) == ((1 << 20, 3, 3), (NO_LIMIT, 0x10000, 3 * PAGE))


@pytest.mark.parametrize('iova, size', [
    (0, PAGE), (0xf000, PAGE), (0xf000, 2 * PAGE), (0x100000, PAGE), (0xff000, 2 * PAGE),
    (0x1ff000, PAGE), (0x1ff000, 2 * PAGE), (0xff000, 0x102000)])
def test_addresses_that_the_policy_leaves_out(bounded, iova, size):
    assert bounded.map_refused(iova, size) == 'EINVAL'
    assert limits(bounded)[0][2] == 0


@pytest.mark.parametrize('iova', [0x10000, 0xff000, 0x200000, TOP - PAGE])
def test_addresses_that_the_policy_allows(bounded, iova):
    bounded.map(iova, PAGE)


def ranges(client):
    count, *ends = struct.unpack('=65Q', feature.get(client, IOVA_RANGES, bytes(520)))
    assert not any(ends[2 * count:])
    return list(zip(ends[0:2 * count:2], ends[1:2 * count:2]))


def test_ranges(client, bounded):
    assert ranges(client) == [(0, TOP - 1)]
    assert ranges(bounded) == [(0x10000, 0xfffff), (0x200000, TOP - 1)]


# ---- faults ---------------------------------------------------------------------------------


def test_the_last_fault(client):
    assert fault(client) == (0, 0, 0, 0, 0)
    assert fetch(client, 0x123000, 0x10) == 'EFAULT'
    assert fault(client) == (0x123000, 0x10, READ, 14, 1)
    client.map(0, PAGE, flags=READ)
    assert deposit(client, 8, b'x') == 'EFAULT'
    assert fault(client) == (8, 1, WRITE, 14, 2)
    client.bus_master(False)
    assert fetch(client, 0, 4) == 'EPERM'
    assert fault(client) == (0, 4, READ, 1, 3)


def test_faults_are_told(client):
    event = Signal()
    assert tell_of_faults(client, event) == EVENT.pack(0, 0)
    assert event.take() == 0
    fetch(client, 0x5000, 4)
    assert event.wait() == 1
    fetch(client, 0x5000, 4)
    deposit(client, 0x5000, b'x')
    assert wait_for(lambda: fault(client)[4] == 3) and event.wait() >= 1
    other = Signal()
    tell_of_faults(client, other)
    fetch(client, 0x5000, 4)
    assert (other.wait(), event.take()) == (1, 0)
    tell_of_faults(client)
    fetch(client, 0x5000, 4)
    client.ping()
    assert other.take() == 0


def test_a_file_that_is_cut_off_under_a_pointer_is_a_fault(client):
    """The device did not ask, and so got no error; the client hears of it nonetheless."""
    event = Signal()
    tell_of_faults(client, event)
    with file_of(4) as file:
        client.map(0x10000, 4 * PAGE, file)
        assert run(client, HOLD, 0x11800, 0x100) == 'ok'
        os.ftruncate(file, 0)
        assert run(client, FILL) == 'ok'
        assert event.wait() >= 1
        iova, size, direction, error, count = fault(client)
        assert 0x11800 <= iova < 0x11900
        assert (size, direction, error, count) == (1, READ | WRITE, errno.EIO, 1)


def test_the_eventfd_goes_with_the_client(probe):
    with probe.connect() as client:
        tell_of_faults(client, Signal())
        before = kept(probe, client)
    assert wait_for(probe.is_free)
    if before is not None:
        assert wait_for(lambda: probe.fds() <= before - 2), 'the connection and the eventfd'


@pytest.mark.parametrize('number', [-2, -1, 0, 1, 4, 5, 6, 7, 8, 9, 12, 20, 1000, 0x7fffffff])
def test_a_number_is_no_descriptor(probe, client, number):
    """The server has descriptors of such numbers, and eventfds: they are not the client's."""
    event = Signal()
    tell_of_faults(client, event)
    before = kept(probe, client)
    assert tell_of_faults(client, None, number) == EVENT.pack(number, 0), 'it says: no longer'
    assert before is None or kept(probe, client) == before - 1
    fetch(client, 0x5000, 4)
    client.ping()
    assert event.take() == 0
    assert tell_of_faults(client, event, number) == EVENT.pack(number, 0)
    fetch(client, 0x5000, 4)
    assert event.wait() == 1


def test_what_is_no_eventfd(probe, client):
    event = Signal()
    tell_of_faults(client, event)
    before = kept(probe, client)
    with file_of(1) as file, open('/dev/null', 'rb+', buffering=0) as null:
        for wrong in (file, null, client.sock):
            assert tell_of_faults(client, wrong) == 'EINVAL'
    assert tell_of_faults(client, event) == EVENT.pack(0, 0)
    for many in ([event] * 2, [event] * 253):
        assert ask(client, SET | FAULT_EVENT, EVENT.pack(0, 0), many) == 'EINVAL'
    assert ask(client, SET | FAULT_EVENT, bytes(7), [event]) == 'EINVAL'
    assert kept(probe, client) == before
    fetch(client, 0x5000, 4)
    assert event.wait() == 1, 'the one from before is still told'


# ---- dirty pages ----------------------------------------------------------------------------


def test_pages_that_were_written(client):
    with file_of(80, b'', SEALED) as file:
        client.map(0x100000, 80 * PAGE, file)
        deposit(client, 0x100000, b'before')
        dirty_start(client, PAGE)
        assert dirty(client, 0x100000, 80 * PAGE, PAGE) == []
        deposit(client, 0x100000 + 3 * PAGE, b'x')
        deposit(client, 0x100000 + 70 * PAGE - 1, b'two')
        fetch(client, 0x100000 + 5 * PAGE, 8)
        assert dirty(client, 0x100000, 80 * PAGE, PAGE) == [3, 69, 70]
        assert dirty(client, 0x100000, 80 * PAGE, PAGE) == [], 'they were told'
        deposit(client, 0x100000 + 10 * PAGE, bytes(4 * PAGE))
        assert dirty(client, 0x100000 + 12 * PAGE, PAGE, PAGE) == [0]
        assert dirty(client, 0x100000, 80 * PAGE, PAGE) == [10, 11, 13]


def test_several_maps(client):
    """Of whatever kind, with holes between them, and made before or after the start."""
    with file_of(4, b'', SEALED) as sealed, file_of(4) as file:
        client.map(0, 4 * PAGE, sealed)
        dirty_start(client, PAGE)
        client.map(6 * PAGE, 4 * PAGE, file)
        for page in (1, 3, 6, 9):
            deposit(client, page * PAGE + 5, b'x')
        assert dirty(client, 0, 64 * PAGE, PAGE) == [1, 3, 6, 9]
        for page in (2, 3, 7, 9):
            deposit(client, page * PAGE, b'x')
        assert dirty(client, 3 * PAGE, 5 * PAGE, PAGE) == [0, 4]
        assert dirty(client, 20 * PAGE, 5 * PAGE, PAGE) == [], 'nothing is mapped there'
        client.unmap(0, 4 * PAGE)
        client.map(0, 4 * PAGE, sealed)
        assert dirty(client, 0, 64 * PAGE, PAGE) == [9], 'of a map that is gone nothing is known'


@pytest.mark.parametrize('page', [8192, 65536, 1 << 21])
def test_larger_pages(client, page):
    with file_of(64, b'', SEALED) as file:
        client.map(1 << 21, 64 * PAGE, file)
        dirty_start(client, page)
        deposit(client, (1 << 21) + 40 * PAGE, b'x')
        assert dirty(client, 1 << 21, 1 << 21, page) == [40 * PAGE // page]
        assert dirty(client, 1 << 21, 1 << 21, page) == []


def test_a_long_report_takes_several_messages(client):
    """A message has room for 8192 bytes: more is refused, and a client asks again."""
    most = (8192 - REPORT.size) // 8 * 64
    with file_of(4) as file:
        client.map((most - 2) * PAGE, 4 * PAGE, file)
        dirty_start(client, PAGE)
        deposit(client, (most - 1) * PAGE, bytes(2 * PAGE))
        assert dirty(client, 0, (most + 1) * PAGE, PAGE) == 'EINVAL'
        assert dirty(client, 0, 1 << 40, PAGE) == 'EINVAL'
        assert dirty(client, 0, most * PAGE, PAGE) == [most - 1]
        assert dirty(client, most * PAGE, most * PAGE, PAGE) == [0]


def test_room_for_the_bitmap(client):
    """It may be sent along, or argsz may say so; too little of it is an error, more is zero."""
    with file_of(4) as file:
        client.map(0, 4 * PAGE, file)
        dirty_start(client, PAGE)
        question = REPORT.pack(0, 64 * PAGE, PAGE)
        for room in (0, 1, 7):
            assert ask(client, GET | DIRTY_REPORT, question, argsz=32 + room) == 'EINVAL'
            assert ask(client, GET | DIRTY_REPORT, question + bytes(room)) == 'EINVAL'
        for ask_it in (lambda: ask(client, GET | DIRTY_REPORT, question + b'\xff' * 8),
                       lambda: ask(client, GET | DIRTY_REPORT, question, argsz=32 + 8)):
            deposit(client, PAGE, b'x')
            assert ask_it() == question + bytes([2]) + bytes(7)
        deposit(client, PAGE, b'x')
        got = ask(client, GET | DIRTY_REPORT, question, argsz=32 + 100)
        assert got[:32] == question + bytes([2]) + bytes(7) and not any(got[32:96])


@pytest.mark.parametrize('iova, size, page', [
    (0, 0, PAGE), (1, PAGE, PAGE), (0, PAGE + 1, PAGE), (0, PAGE, 0), (0, PAGE, 1),
    (0, 8192, 8192), (0, PAGE, PAGE - 1), (0, 0x10000, 1 << 63), (TOP - PAGE, 2 * PAGE, PAGE),
    (0, TOP - PAGE, PAGE)])
def test_reports_that_cannot_be(client, iova, size, page):
    dirty_start(client, PAGE)
    question = REPORT.pack(iova, size, page)
    assert ask(client, GET | DIRTY_REPORT, question, argsz=32 + 1024) == 'EINVAL'


@pytest.mark.parametrize('page', [0, 1, 2048, 4095, 4097, 3 * PAGE, TOP - 1])
def test_pages_that_cannot_be(client, page):
    assert ask(client, SET | DIRTY_START, START.pack(page, 0, 0)) == 'EINVAL'
    assert dirty(client, 0, PAGE, PAGE) == 'EINVAL', 'nothing is tracked'


@pytest.mark.parametrize('count, there', [(1, 0), (2, 1), (0xffffffff, 500), (0x10000000, 4)])
def test_ranges_that_are_not_there(client, count, there):
    data = START.pack(PAGE, count, 0) + bytes(16 * there)
    assert ask(client, SET | DIRTY_START, data) == 'EINVAL'


def test_start_with_ranges(client):
    """They are a hint: more than they name may be tracked, but not less."""
    with file_of(8) as file:
        client.map(0, 8 * PAGE, file)
        dirty_start(client, PAGE, [(2 * PAGE, PAGE), (5 * PAGE, 2 * PAGE)])
        deposit(client, 0, bytes(8 * PAGE - PAGE // 2)[:0x4000])
        deposit(client, 0x4000, bytes(0x4000))
        assert {2, 5, 6} <= set(dirty(client, 0, 8 * PAGE, PAGE))


def test_the_end_of_tracking(client):
    with file_of(1) as file:
        client.map(0, PAGE, file)
        assert ask(client, SET | DIRTY_STOP) == b'', 'it was not started, which is no error'
        dirty_start(client, PAGE)
        deposit(client, 0, b'x')
        assert ask(client, SET | DIRTY_STOP) == b''
        assert dirty(client, 0, PAGE, PAGE) == 'EINVAL'
        deposit(client, 0, b'x')
        dirty_start(client, PAGE)
        assert dirty(client, 0, PAGE, PAGE) == []


def test_tracking_ends_with_the_client(probe):
    with probe.connect() as client:
        dirty_start(client, PAGE)
    assert wait_for(probe.is_free)
    assert dirty(probe.connect(), 0, PAGE, PAGE) == 'EINVAL'


def test_a_fault_dirties_nothing(client):
    with file_of(1) as file:
        client.map(0, PAGE, file)
        client.map(PAGE, PAGE, file, flags=READ)
        dirty_start(client, PAGE)
        assert deposit(client, PAGE - 4, bytes(8)) == 'EFAULT'
        assert dirty(client, 0, 64 * PAGE, PAGE) == []


def test_start_with_many_maps(client):
    for number in range(2000):
        client.map(2 * number * PAGE, PAGE)
    dirty_start(client, PAGE)
    assert dirty(client, 0, 4000 * PAGE, PAGE) == []
    assert ask(client, SET | DIRTY_START, START.pack(PAGE, 0, 0)) == START.pack(PAGE, 0, 0)
    assert client.unmap(0, 0, UNMAP_ALL) == 2000 * PAGE

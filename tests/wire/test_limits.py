# SPDX-License-Identifier: MIT
"""A client that runs into the server's limits on purpose: it may fail there, and nobody else."""

import contextlib
import os
import select
import time

import pytest

from daemon import Vfiod, wait_for
from dma import TO_BUFFER, answer_read, asked, fetch, start
from signals import ASSIGN, Signal, signals
from wire import (BAR5, Cmd, ERROR, Ended, MIB, MSIX, NO_REPLY, PAGE, READ, REQ, UNMAP_ALL, access,
                  dma_map, info, irq_set, memory, message, version)

MANY = 70000            # more than a process can have files, or memory areas
NEARLY = 60000          # memory areas, and some are left
FAR = 1 << 40


class Files:
    """Where windows get their memory from: one file for all, or a file for each."""

    def __init__(self, kind):
        self.sealed = kind == 'one sealed file'
        self.one = None if kind == 'a file each' else memory(PAGE, self.sealed)

    def send(self, client, iova, number):
        file = memory(PAGE) if self.one is None else self.one
        client.post(Cmd.DMA_MAP, dma_map(iova, PAGE), [file], id=number & 0xffff)
        if self.one is None:
            os.close(file)

    def close(self):
        if self.one is not None:
            os.close(self.one)


def map_until_refused(client, kind, most, batch=50):
    """Windows of one page, each with a descriptor; returns how many there were room for."""
    done, number = 0, 0
    with contextlib.closing(Files(kind)) as files:
        while done == number < most:
            for each in range(number, number + batch):
                # All of the same page, so that no two windows are one piece of memory.
                files.send(client, 2 * each * PAGE, each)
            for each in range(number, number + batch):
                done += not client.reply(each & 0xffff, Cmd.DMA_MAP).flags & ERROR
            number += batch
    return done


def most_for(probe):
    """What a sanitizer puts in the place of free() needs memory areas itself, or ends the process."""
    return NEARLY if "sanitizer's build" in probe.vfiod.log() else MANY


@pytest.mark.parametrize('kind', ['one file', 'one sealed file'])
def test_many_maps_with_descriptors(probe, kind):
    """Neither open files nor memory areas are their limit."""
    client = probe.connect()
    assert map_until_refused(client, kind, MANY) == MANY
    assert client.unmap(0, 0, UNMAP_ALL) == MANY * PAGE


@pytest.mark.parametrize('kind', ['one file', 'one sealed file', 'a file each'])
def test_others_when_one_has_all_the_resources(probe, kind):
    """However many files or areas a client takes: a second one hears at once that it is busy."""
    client = probe.connect()
    map_until_refused(client, kind, most_for(probe))
    client.call(Cmd.SET_IRQS, irq_set(ASSIGN, REQ, 0, 1), signals(1))
    began = time.monotonic()
    with probe.vfiod.plain(deadline=2) as other:
        assert other.refused(Cmd.VERSION, version()) == 'EBUSY'
    assert time.monotonic() - began < 1
    assert probe.is_idle(), 'the server turns round and round'
    client.ping()
    assert client.unmap(0, 0, UNMAP_ALL) > 0


def test_a_file_is_cut_off_when_there_is_no_memory_area_left(probe):
    """Something has to be put in its place all the same."""
    with probe.connect() as client, contextlib.closing(Files('one file')) as lost:
        client.bus_master()
        lost.send(client, FAR, 0)
        assert not client.receive().flags & ERROR
        map_until_refused(client, 'a file each', most_for(probe))
        assert fetch(client, FAR, 4) == bytes(4)
        os.ftruncate(lost.one, 0)
        assert fetch(client, FAR, 4) == 'EIO'
        assert fetch(client, 0, 4) == bytes(4)
    probe.check_alive()


def test_commands_without_end_while_memory_is_owed(probe):
    """They are kept for later, but not without bound."""
    client = probe.connect()
    client.bus_master()
    client.map(0x100000, PAGE)
    before = probe.resident()
    start(client, TO_BUFFER, 0x100000, 8)
    asked(client, Cmd.DMA_READ)
    with contextlib.suppress(Ended, TimeoutError):
        client.sock.settimeout(1)
        for _ in range(64):
            client.post(Cmd.REGION_WRITE, access(BAR5, 0, MIB, bytes(MIB)), flags=NO_REPLY)
    assert probe.resident() - before < 24 * MIB


def test_descriptors_without_end_while_memory_is_owed(probe):
    """Each kept command may hold descriptors: the server must not run out of its own."""
    client = probe.connect()
    client.bus_master()
    client.map(0x100000, PAGE, flags=READ)
    pending = start(client, TO_BUFFER, 0x100000, 8)
    number, iova, *_ = asked(client, Cmd.DMA_READ)
    one = Signal()
    with contextlib.suppress(Ended, TimeoutError):
        client.sock.settimeout(1)
        for _ in range(400):
            client.post(Cmd.SET_IRQS, irq_set(ASSIGN, MSIX, 0, 253), [one] * 253, flags=NO_REPLY)
        answer_read(client, number, iova, bytes(8))
        client.reply(pending, Cmd.REGION_WRITE)


def test_every_place_for_the_refused_is_taken(probe):
    """Silent connections beside the client: it is served, and one that speaks is answered."""
    client = probe.connect()
    for _ in range(64):
        probe.plain()
    began = time.monotonic()
    other = probe.plain(deadline=3)
    with contextlib.suppress(Ended):
        assert other.refused(Cmd.VERSION, version()) == 'EBUSY'
    assert time.monotonic() - began < 1
    client.ping()


# ---- the end of the server -------------------------------------------------------------------


@pytest.mark.parametrize('state', ['idle', 'half a message', 'owes memory', 'reads nothing'])
def test_the_server_ends_in_time_whatever_its_client_does(tmp_path, state):
    vfiod = Vfiod('probe', tmp_path)
    with vfiod.connect() as client:
        if state == 'half a message':
            client.send(message(Cmd.GET_INFO, info())[:20])
        elif state == 'owes memory':
            client.bus_master()
            client.map(0, PAGE)
            start(client, TO_BUFFER, 0, 8)
            asked(client, Cmd.DMA_READ)
        elif state == 'reads nothing':
            client.send(message(Cmd.REGION_READ, access(BAR5, 0, MIB)) * 4)
        began = time.monotonic()
        vfiod.stop()
        assert time.monotonic() - began < 2
        assert not os.path.exists(vfiod.path)


def test_much_work_in_one_go_lets_others_have_their_turn(probe):
    """Seconds of work, asked for in a few kilobytes: others are answered in between."""
    client = probe.connect()
    work = message(Cmd.REGION_READ, access(BAR5, 0, MIB), flags=NO_REPLY)
    client.send(work * 6000 + message(Cmd.REGION_READ, access(BAR5, 0, 4)))
    for _ in range(3):
        assert 'description' in probe.control('describe', device='probe')
    assert not select.select([client.sock], [], [], 0)[0], 'they were answered in between'
    client.close()
    assert wait_for(probe.is_free, 2), 'the rest is worked off for nobody'

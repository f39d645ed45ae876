# SPDX-License-Identifier: MIT
"""VERSION, the first message (wire document, section 3.1)."""

import contextlib
import json
import struct

import pytest

from daemon import Vfiod
from wire import (CONFIG, Cmd, ERROR, Ended, HEADER, MIB, NO_REPLY, REPLY, access, info, memory,
                  message, version)

OUR_JSON = (b'{"capabilities":{"max_msg_fds":16,"max_data_xfer_size":1048576,'
            b'"max_dma_maps":65535,"pgsizes":4096}}\0')

QEMU_JSON = (b'{"capabilities":{"pgsizes":4096,"max_msg_fds":16,"max_dma_maps":65535,'
             b'"max_data_xfer_size":1048576,'
             b'"migration":{"max_bitmap_size":268435456,"pgsize":4096},"write_multiple":true}}\0')


def capabilities(**members):
    return {'capabilities': members}


def closed_with(client, error):
    """The next thing is an error reply, then the end."""
    got = client.receive()
    assert (got.flags, got.size) == (REPLY | ERROR, HEADER.size)
    assert got.error == error
    return client.ended()


EINVAL = 22


@pytest.mark.parametrize('proposed, answered', [(0, 0), (1, 1), (2, 1), (0xffff, 1)])
def test_minor_is_the_lower_one(edu, proposed, answered):
    client = edu.plain()
    assert client.hello(0, proposed) == struct.pack('=HH', 0, answered) + OUR_JSON
    client.ping()


def test_reply_echoes_id_and_fits_in_qemus_request(edu):
    client = edu.plain()
    request = message(Cmd.VERSION, version(0, 0, QEMU_JSON), id=0xbeef)
    client.send(request)
    got = client.receive()
    assert (got.id, got.command, got.flags, got.error) == (0xbeef, Cmd.VERSION, REPLY, 0)
    assert got.size <= len(request)
    assert not got.fds


def test_reply_is_json_that_qemu_takes(edu):
    body = edu.plain().hello(0, 0, QEMU_JSON)
    assert body.endswith(b'\0') and body.count(b'\0', 4) == 1
    offer = json.loads(body[4:-1])['capabilities']
    assert 1 <= offer['max_msg_fds'] <= 16
    assert offer['max_data_xfer_size'] <= 64 * MIB
    assert offer['max_dma_maps'] <= 65535
    assert offer['pgsizes'] % 4096 == 0
    assert set(offer) <= set(json.loads(QEMU_JSON[:-1])['capabilities'])


@pytest.mark.parametrize('text', [
    None,
    {},
    capabilities(),
    {'unknown': [1, {'a': None}], 'capabilities': {'also_unknown': 1}},
    capabilities(max_msg_fds=0, max_data_xfer_size=0, max_dma_maps=0, pgsizes=0),
    capabilities(max_msg_fds=1024),
    capabilities(max_data_xfer_size=1 << 40),
    capabilities(twin_socket={'supported': True}),
    capabilities(twin_socket={'supported': False}),
    capabilities(write_multiple=True, migration={'pgsize': 4096}),
    {'padding': 'x' * 6000},
], ids=lambda text: str(text)[:60])
def test_offers_that_are_taken(edu, text):
    client = edu.plain()
    assert client.hello(0, 1, text) == struct.pack('=HH', 0, 1) + OUR_JSON
    client.ping()


@pytest.mark.parametrize('offer, promised', [
    (1, 1), (1000, 1000), (65535, 65535), (65536, 65536), (1 << 20, 1 << 20), (1 << 40, 1 << 20)])
def test_maps_that_are_promised(edu, offer, promised):
    """Not more than the client's own number: QEMU leaves a server that says more."""
    client = edu.plain()
    body = client.hello(0, 1, capabilities(max_dma_maps=offer))
    assert json.loads(body[4:-1])['capabilities']['max_dma_maps'] == promised
    client.ping()


@pytest.mark.parametrize('offer, promised', [(999, 999), (1000, 1000), (1 << 20, 1000)])
def test_maps_that_the_policy_grants(tmp_path, offer, promised):
    vfiod = Vfiod('edu', tmp_path, '--policy', 'max-maps=1000')
    with vfiod.plain() as client:
        body = client.hello(0, 1, capabilities(max_dma_maps=offer))
        assert json.loads(body[4:-1])['capabilities']['max_dma_maps'] == promised
    vfiod.stop()


@pytest.mark.parametrize('text', [
    b'{\0',
    b'[]\0',
    b'"capabilities"\0',
    b'17\0',
    b'nul\0',
    b'{"capabilities":{}\0',
    b'{"capabilities":{}} more\0',
    b'{"capabilities":[]}\0',
    b'{"capabilities":"max_msg_fds"}\0',
    b'{"capabilities":{"max_msg_fds":"16"}}\0',
    b'{"capabilities":{"max_msg_fds":true}}\0',
    b'{"capabilities":{"max_msg_fds":[16]}}\0',
    b'{"capabilities":{"max_msg_fds":-1}}\0',
    b'{"capabilities":{"max_msg_fds":1025}}\0',
    b'{"capabilities":{"max_msg_fds":99999999999999999999999999}}\0',
    b'{"capabilities":{"max_data_xfer_size":-1}}\0',
    b'{"capabilities":{"max_data_xfer_size":-9223372036854775808}}\0',
    b'{"capabilities":{"max_data_xfer_size":"1048576"}}\0',
    b'{"capabilities":{"max_dma_maps":{}}}\0',
    b'{"capabilities":{"pgsizes":"4096"}}\0',
    b'{"capabilities":{"twin_socket":true}}\0',
    b'{"capabilities":{"twin_socket":{"supported":"yes"}}}\0',
    b'{"capabilities":{"write_multiple":1}}\0',
    b'{"capabilities":{"migration":4096}}\0',
    b'{"capabilities":{}}',                     # no NUL
    b'{"capabilities":{"max_msg_fds":16',       # cut off, no NUL
    b'[' * 8000 + b'\0',
    b'{"a":' * 1500 + b'\0',
    b'\xff\xfe\0',
], ids=lambda text: str(text[:60]))
def test_offers_that_end_the_connection(edu, text):
    client = edu.plain()
    client.send(message(Cmd.VERSION, version(0, 1, text)))
    assert closed_with(client, EINVAL)


def test_an_offer_of_a_mebibyte_ends_the_connection(edu):
    """It may end before all of it was sent."""
    client = edu.plain()
    with contextlib.suppress(Ended):
        client.send(message(Cmd.VERSION, version(0, 1, {'padding': 'x' * (MIB - 100)})))
    assert closed_with(client, EINVAL)


@pytest.mark.parametrize('major', [1, 2, 0x8000, 0xffff])
def test_another_major_ends_the_connection(edu, major):
    client = edu.plain()
    client.send(message(Cmd.VERSION, version(major, 0)))
    assert closed_with(client, EINVAL)


@pytest.mark.parametrize('length', range(4))
def test_too_short_ends_the_connection(edu, length):
    client = edu.plain()
    client.send(message(Cmd.VERSION, bytes(length)))
    assert closed_with(client, EINVAL)


@pytest.mark.parametrize('command', [0, *range(2, 20), 0x7fff, 0xffff])
def test_anything_else_first_ends_the_connection(edu, command):
    client = edu.plain()
    client.send(message(command, info().ljust(64, b'\0'), id=77))
    assert closed_with(client, EINVAL)


def test_anything_else_first_without_reply_just_ends_the_connection(edu):
    client = edu.plain()
    client.send(message(Cmd.GET_INFO, info(), flags=NO_REPLY))
    assert client.ended()


def test_nothing_is_done_before_version(edu):
    """What comes behind the refused message is not looked at."""
    client = edu.plain()
    client.send(message(Cmd.GET_INFO, info()) + message(Cmd.VERSION, version()))
    assert closed_with(client, EINVAL)


def test_a_second_version_is_refused_and_changes_nothing(edu):
    client = edu.connect()
    client.put(CONFIG, 0x3c, 0x5a, 1)
    for minor in (0, 1):
        assert client.refused(Cmd.VERSION, version(0, minor)) == 'EINVAL'
    assert client.refused(Cmd.VERSION, version(5, 0)) == 'EINVAL'
    assert client.refused(Cmd.VERSION, version(0, 1, b'{')) == 'EINVAL'
    assert client.get(CONFIG, 0x3c, 1) == 0x5a


def test_version_takes_no_descriptor(edu):
    client = edu.plain()
    assert client.refused(Cmd.VERSION, version(), [memory(4096)]) == 'EINVAL'


def test_version_without_reply(edu):
    client = edu.plain()
    client.post(Cmd.VERSION, version(), flags=NO_REPLY)
    client.ping()


@pytest.mark.parametrize('flags', [REPLY, REPLY | ERROR, 2, 0xf, REPLY | NO_REPLY])
def test_version_that_is_no_command_ends_the_connection(edu, flags):
    client = edu.plain()
    client.send(message(Cmd.VERSION, version(), flags=flags))
    assert client.ended()


def test_the_first_read_may_follow_without_waiting(edu):
    """VERSION and a command in one piece: the stream has no message borders."""
    client = edu.plain()
    client.send(message(Cmd.VERSION, version(), id=1) +
                message(Cmd.REGION_READ, access(CONFIG, 0, 4), id=2))
    client.reply(1, Cmd.VERSION)
    assert client.reply(2, Cmd.REGION_READ).payload[16:20] == bytes.fromhex('3412e811')

# SPDX-License-Identifier: MIT
"""Servers for the tests.

A test takes `edu`, `probe` or `nvme`, or one of the hasty ones, which wait half a second for their client
instead of five, and makes connections with connect() or plain(). When the test is over, its
connections are closed, and the canary looks whether they did any harm.
"""

import pytest

from canary import lend, serve


@pytest.fixture(scope='session')
def edu_server(tmp_path_factory):
    yield from serve(tmp_path_factory, 'edu')


@pytest.fixture(scope='session')
def probe_server(tmp_path_factory):
    yield from serve(tmp_path_factory, 'probe', '--policy', 'process-memory=allow')


@pytest.fixture(scope='session')
def hasty_server(tmp_path_factory):
    yield from serve(tmp_path_factory, 'edu', '--timeout', '500')


@pytest.fixture(scope='session')
def hasty_probe_server(tmp_path_factory):
    yield from serve(tmp_path_factory, 'probe', '--timeout', '500')


@pytest.fixture(scope='session')
def nvme_server(tmp_path_factory):
    yield from serve(tmp_path_factory, 'nvme,memory=16M')


@pytest.fixture
def edu(edu_server):
    yield from lend(edu_server)


@pytest.fixture
def probe(probe_server):
    yield from lend(probe_server)


@pytest.fixture
def nvme(nvme_server):
    yield from lend(nvme_server)


@pytest.fixture
def hasty(hasty_server):
    yield from lend(hasty_server)


@pytest.fixture
def hasty_probe(hasty_probe_server):
    yield from lend(hasty_probe_server)


@pytest.fixture
def client(probe):
    """A client of probe, whose device may touch memory."""
    client = probe.connect()
    client.bus_master()
    return client

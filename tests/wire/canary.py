# SPDX-License-Identifier: MIT
"""What must hold after each test, whatever the test did to the server.

It must be alive and serve a fresh client, whose device must be in its power-on state; no descriptor
and no mapping of earlier clients may be left.
"""

import wire
from daemon import Vfiod, wait_for

IDENTITIES = {'edu': (0x1234, 0x11e8), 'probe': (0x1234, 0x7072), 'nvme': (0x1234, 0x4e56)}

# What a client sees of the device's state: (region, offset, bytes).
VISIBLE = {
    'edu': [(wire.CONFIG, 0, 256)] +
           [(wire.BAR0, offset, 4) for offset in (0, 4, 8, 0x20, 0x24)] +
           [(wire.BAR0, offset, 8) for offset in (0x80, 0x88, 0x90, 0x98)],
    'probe': [(wire.CONFIG, 0, 256), (wire.BAR0, 0, 0x20), (wire.BAR0, 0x28, 0x1d8),
              (wire.BAR0, 0x1000, 0x2000), (wire.BAR0, 0x4000, 0x1000), (wire.BAR0, 0x8000, 0x1000),
              (wire.BAR4, 0, 32), (wire.BAR5, 0, 4096), (wire.BAR5, wire.MIB, 4096)],
    'nvme': [(wire.CONFIG, 0, 4096), (wire.BAR0, 0, 0x40), (wire.BAR0, 0x1000, 0x1000)],
}


class Served:
    """A server as a test sees it: the connections made through it end with the test."""

    def __init__(self, vfiod):
        self.vfiod = vfiod
        self.clients = []

    def __getattr__(self, name):
        return getattr(self.vfiod, name)

    def connect(self, *args, **kwargs):
        self.clients.append(self.vfiod.connect(*args, **kwargs))
        return self.clients[-1]

    def plain(self, *args, **kwargs):
        self.clients.append(self.vfiod.plain(*args, **kwargs))
        return self.clients[-1]

    def leave(self):
        """Close all connections."""
        while self.clients:
            self.clients.pop().close()


def visible(client, device):
    """All that a client sees of the device's state."""
    return [client.read(*place) for place in VISIBLE[device]]


def check_idle(client):
    """No interrupt is set up and nothing is mapped."""
    for index in (wire.INTX, wire.MSI, wire.REQ):
        assert client.irqs_refused(wire.NONE | wire.TRIGGER, index, 0, 1) == 'EINVAL'
    assert client.unmap(0, 0, wire.UNMAP_ALL) == 0


class Canary:
    """A client that looks whether the last one left anything behind."""

    def __init__(self, vfiod, device):
        self.vfiod, self.device = vfiod, device
        with vfiod.connect() as client:
            self.power_on = visible(client, device)
        ids = self.power_on[0]
        found = (int.from_bytes(ids[0:2], 'little'), int.from_bytes(ids[2:4], 'little'))
        assert found == IDENTITIES[device]
        assert wait_for(vfiod.is_free)
        self.fds = vfiod.fds()

    def check(self):
        self.vfiod.check_alive()
        with self.vfiod.connect() as client:
            assert visible(client, self.device) == self.power_on
            check_idle(client)
        assert wait_for(lambda: self.vfiod.fds() == self.fds), 'descriptors were left open'
        maps = self.vfiod.maps()
        assert maps is None or 'wire-test' not in maps, 'memory of a client is still mapped'


def serve(tmp_path_factory, device, *options):
    """A vfiod with its canary, for a session. device: a name, and options behind a comma."""
    name = device.partition(',')[0]
    vfiod = Vfiod(device, tmp_path_factory.mktemp(name), *options)
    yield vfiod, Canary(vfiod, name)
    vfiod.stop()


def lend(server):
    """That vfiod to one test."""
    vfiod, canary = server
    served = Served(vfiod)
    yield served
    served.leave()
    canary.check()

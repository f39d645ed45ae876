# SPDX-License-Identifier: MIT
"""The kernel's vfio-pci and a virtual function of ours over the same devices of QEMU's, in a guest:
the same steps by chance, and the same answers, but for what known_differences.py lists.

For longer runs, and to find out what a difference needs:

    VFIO_DIFFER_STEPS=5000 VFIO_DIFFER_SEEDS=1,2,3      each device, with each seed
    VFIO_DIFFER_DEVICES=edu,nvme                        these only
    VFIO_DIFFER_ONLY='17 23'                            of the steps these only
    VFIO_DIFFER_KEEP=FOLDER                             both outputs of each run
"""

import base64
import gzip
import os
import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
import differences  # noqa: E402
import guest  # noqa: E402
import made  # noqa: E402
import record  # noqa: E402

DEFAULT_STEPS = 500
STEPS = int(os.environ.get('VFIO_DIFFER_STEPS', DEFAULT_STEPS))
SEEDS = os.environ.get('VFIO_DIFFER_SEEDS', '1').split(',')
ONLY = os.environ.get('VFIO_DIFFER_ONLY', '')
WANTED = os.environ.get('VFIO_DIFFER_DEVICES', '')
KEEP = os.environ.get('VFIO_DIFFER_KEEP', '')

# Where a device is (an address is one that QEMU leaves no choice of), and what QEMU needs beside it. A port
# is a PCI Express port of its own; virtual: so is that of a physical function.
DEVICES = {
    'edu': ('root', 'edu'),
    'edu-behind-bridge': ('bridge', 'edu'),
    'testdev-behind-bridge': ('bridge', 'pci-testdev'),
    'testdev': ('root', 'pci-testdev'),
    'ahci': ('root', 'ich9-ahci'),
    'ivshmem': ('root', 'ivshmem-plain,memdev=shm', '-object',
                'memory-backend-ram,id=shm,size=1M'),
    'megasas': ('root', 'megasas'),
    'e1000': ('root', 'e1000,netdev=n0', '-netdev', 'user,id=n0'),
    'rtl8139': ('bridge', 'rtl8139,netdev=n1', '-netdev', 'user,id=n1'),
    'virtio-blk': ('root', 'virtio-blk-pci,drive=d0', '-drive',
                   'file=null-co://,if=none,id=d0,format=raw'),
    'nvme': ('port', 'nvme,serial=1,drive=d1', '-drive',
             'file=null-co://,if=none,id=d1,format=raw'),
    'nvme-pf': ('port', 'nvme,serial=2,subsys=subsystem,sriov_max_vfs=2,sriov_vq_flexible=4,'
                        'sriov_vi_flexible=2', '-device', 'nvme-subsys,id=subsystem'),
    'nvme-vf': ('virtual', 'nvme,serial=3,subsys=other,sriov_max_vfs=2,sriov_vq_flexible=4,'
                           'sriov_vi_flexible=2', '-device', 'nvme-subsys,id=other'),
    'e1000e': ('port', 'e1000e,netdev=n2', '-netdev', 'user,id=n2'),
    'virtio-net': ('port', 'virtio-net-pci,netdev=n3,disable-legacy=on,iommu_platform=on',
                   '-netdev', 'user,id=n3'),
    'xhci': ('port', 'qemu-xhci'),
    'nec-xhci': ('port', 'nec-usb-xhci'),
    'vmxnet3': ('port', 'vmxnet3,netdev=n4', '-netdev', 'user,id=n4'),
    'pvscsi': ('port', 'pvscsi'),
    'megasas-gen2': ('port', 'megasas-gen2'),
    'hda': ('root', 'ich9-intel-hda'),
    'lsi': ('root', 'lsi53c895a'),
    'sdhci': ('root', 'sdhci-pci'),
    'rocker': ('root', 'rocker,name=sw1'),
    'i82559c': ('bridge', 'i82559c,netdev=n5', '-netdev', 'user,id=n5'),
    'mptsas': ('bridge', 'mptsas1068'),
    'cxl': ('0000:0d:00.0', 'cxl-type3,memdev=cxl,lsa=label,bus=upper', *record.CXL),
}
DEVICES |= {f'made-{name}': ('root', 'x-pci-proxy-dev,fd={fd}', '-object',
                             'memory-backend-memfd,id=ram,size=512M,share=on',
                             '-M', 'memory-backend=ram')
            for name in ('many', 'old', 'masks', 'hidden')}
NAMES = [name for name in DEVICES if not WANTED or name in WANTED.split(',')]

BEGIN = '''
# told NAME COMMAND: what root's command says, packed
told() {
	echo "@begin $1"
	$2 2>&1 | gzip -c | base64
	echo
	echo "@end $1 0"
} > /dev/ttyS1 < /dev/null

# both NAME ADDRESS: the kernel, and then nobody, has the device
both() {
	cd /tmp
	bind "$2" vfio-pci
	for seed in $SEEDS; do
		told "$1:kernel:$seed" "differ kernel $2 $seed $STEPS $ONLY"
	done
	echo "$2" > "/sys/bus/pci/devices/$2/driver/unbind"
	echo > "/sys/bus/pci/devices/$2/driver_override"
	for seed in $SEEDS; do
		told "$1:virtual:$seed" "differ virtual $2 $seed $STEPS $ONLY"
	done
}

# virtual NAME ADDRESS: the same of a virtual function, while somebody has its physical one
virtual() {
	echo Y > /sys/module/vfio_pci/parameters/enable_sriov
	bind "$2" vfio-pci
	differ hold "$2" &
	for i in $(seq 100); do
		[ -e "/sys/bus/pci/devices/$2/virtfn0/driver" ] && break
		sleep 0.1
	done
	both "$1" "$(basename "$(readlink "/sys/bus/pci/devices/$2/virtfn0")")"
	kill $!
}

behind() {
	(cd "/sys/bus/pci/devices/$1" && echo 0000:??:$2.0)
}
'''


def machine_of(names):
    """QEMU's arguments, where each device is, in the words of the guest's shell, and the sockets of
    made ones."""
    arguments = ['-device', 'pcie-pci-bridge,id=bridge,bus=pcie.0,addr=2']
    places, ends = {}, []
    slot = {'root': 3, 'bridge': 1}
    for name in names:
        kind, device, *more = DEVICES[name]
        if name.startswith('made-'):
            ends.append(made.start(name.removeprefix('made-')))
            device = device.replace('{fd}', str(ends[-1].fileno()))
        arguments += more if set(more) - set(arguments) else []
        if kind == 'bridge':
            arguments += ['-device', f'{device},bus=bridge,addr={slot["bridge"]}']
            places[name] = f'$(behind 0000:00:02.0 {slot["bridge"]:02x})'
            slot['bridge'] += 1
            continue
        if ':' in kind:
            arguments += ['-device', device]
            places[name] = kind
            continue
        at = slot['root']
        slot['root'] += 1
        if kind != 'root':
            arguments += ['-device', f'pcie-root-port,id=port{at},bus=pcie.0,addr={at:x},'
                                     f'chassis={at}']
            places[name] = f'$(behind 0000:00:{at:02x}.0 00)'
        else:
            places[name] = f'0000:00:{at:02x}.0'
        bus = f'pcie.0,addr={at:x}' if kind == 'root' else f'port{at},addr=0'
        arguments += ['-device', f'{device},bus={bus}']
    return arguments, places, ends


def unpack(result):
    return gzip.decompress(base64.b64decode(result.text)).decode()


@pytest.fixture(scope='module')
def answers(tmp_path_factory):
    """What differ printed, by device, road and seed; and the console."""
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    arguments, places, ends = machine_of(NAMES)
    script = BEGIN + f'STEPS={STEPS}\nSEEDS="{" ".join(SEEDS)}"\nONLY="{ONLY}"\n' + \
        ''.join(f'{"virtual" if DEVICES[name][0] == "virtual" else "both"} {name} {places[name]}\n'
                for name in NAMES)
    steps, console = guest.boot(tmp_path_factory.mktemp('guest'), arguments, {}, script,
                                ['tests/guest/differ'], [end.fileno() for end in ends],
                                timeout=guest.TIMEOUT + STEPS * len(SEEDS) // 10)
    said = {name: unpack(result) for name, result in steps.items()}
    for name in said if KEEP else ():
        pathlib.Path(KEEP, name).write_text(said[name])
    return {**said, 'console': console}


@pytest.fixture(scope='module')
def founds(answers):
    """Each comparison, by device and seed."""
    done = {}
    for name in NAMES:
        for seed in SEEDS:
            texts = [answers.get(f'{name}:{road}:{seed}', '') for road in ('kernel', 'virtual')]
            for text in texts:
                assert text.endswith('# end\n'), \
                    f'{name}: {text[-500:]}\n{answers["console"][-3000:]}'
            done[name, seed] = differences.compare(*texts)
    return done


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('name', NAMES)
def test_device(founds, name, seed):
    found = founds[name, seed]
    print(f'{name}, seed {seed}: {found.compared} answers compared, '
          f'{sum(found.known.values())} differ as is known')
    assert not found.unknown, f'{len(found.unknown)} differ:\n' + '\n'.join(found.unknown[:30])
    assert ONLY or found.compared > 2 * STEPS


@pytest.mark.skipif(bool(WANTED or ONLY) or (STEPS, SEEDS) != (DEFAULT_STEPS, ['1']),
                    reason='these are other devices or steps, where not all need occur')
def test_every_known_difference_is_found(founds):
    """What is no longer a difference is to be taken from the lists."""
    assert not differences.unused(list(founds.values()))

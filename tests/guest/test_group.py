# SPDX-License-Identifier: MIT
"""Several devices of the kernel's in one program: groups with more than one device, memory that is
shared, resets that hit others, virtual functions."""

import re
import sys

import pytest

sys.dont_write_bytecode = True
import guest  # noqa: E402
import record  # noqa: E402

SHARED = '0000:01:01.0'      # in one group with the next
NEIGHBOUR = '0000:01:02.0'
EDU = '0000:00:05.0'
NET = '0000:02:00.0'         # behind a port, with the next
NET1 = '0000:02:00.1'
PHYSICAL = '0000:03:00.0'
VIRTUAL = '0000:03:00.1'

SCRIPT = f'''
for i in {SHARED} {NEIGHBOUR} {EDU} {NET} {NET1} {PHYSICAL}; do bind $i vfio-pci; done
echo 1 > /sys/module/vfio_pci/parameters/enable_sriov
[ $ROAD = group ] && rm -f /dev/iommu
give
export SHARED={SHARED} NEIGHBOUR={NEIGHBOUR} EDU={EDU} NET={NET} NET1={NET1}
export PHYSICAL={PHYSICAL} VIRTUAL={VIRTUAL}
(
	while [ ! -e /tmp/want-virtual ]; do sleep 0.1; done
	echo 1 > /sys/bus/pci/devices/{PHYSICAL}/sriov_numvfs
	give
	touch /tmp/has-virtual
) &
step group test-group
echo {NET1} > /sys/bus/pci/devices/{NET1}/driver/unbind
step alone "test-group alone"
'''

DEVICES = (
    '-device', 'pcie-pci-bridge,id=bridge,bus=pcie.0,addr=4',
    '-device', 'edu,bus=bridge,addr=1', '-device', 'pci-testdev,bus=bridge,addr=2',
    '-device', 'edu,bus=pcie.0,addr=5',
    '-device', 'pcie-root-port,id=upper,bus=pcie.0,addr=8,chassis=1,x-speed=2_5,x-width=1',
    '-netdev', 'user,id=net0', '-netdev', 'user,id=net1',
    '-device', 'e1000e,netdev=net0,bus=upper,addr=0.0,multifunction=on',
    '-device', 'e1000e,netdev=net1,bus=upper,addr=0.1',
    '-device', 'nvme-subsys,id=subsystem',
    '-device', 'pcie-root-port,id=below,bus=pcie.0,addr=9,chassis=2',
    '-device', record.SRIOV + ',bus=below',
)


@pytest.fixture(scope='module', params=['group', 'cdev'])
def steps(request, tmp_path_factory):
    if guest.missing():
        pytest.exit(guest.missing(), 77)     # meson's number for a test that was skipped
    if request.param == 'cdev' and not guest.Kernel().has_nodes():
        pytest.skip('this kernel has no device nodes of VFIO: see VFIO_GUEST_KERNEL')
    found, console = guest.boot(tmp_path_factory.mktemp(request.param), DEVICES, {},
                                f'ROAD={request.param}\n' + SCRIPT)
    assert 'group' in found, console[-3000:]
    return found


def test_group(steps):
    text = steps['group'].text
    assert steps['group'].code == 0, text
    assert int(re.search(r'PASSED  \] (\d+) test', text).group(1)) >= 9


def test_a_function_without_a_driver(steps):
    """It is nobody's: what hits it is not done."""
    assert steps['alone'].code == 0, steps['alone'].text

# SPDX-License-Identifier: MIT
"""Running lsvfio, and checking what it says of configuration space."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path(os.environ.get("VFIO_SOURCE", HERE.parent.parent))
BUILD = pathlib.Path(os.environ.get("VFIO_BUILD", SOURCE / "build"))
LSVFIO = str(BUILD / "lsvfio" / "lsvfio")
VIRTIO = HERE / "sysfs" / "virtio"
NVME = HERE / "sysfs" / "nvme"


def lsvfio(*args, env=None, **options):
    """Run lsvfio where no vfiod of the machine is seen."""
    full = dict(os.environ, LC_ALL="C.UTF-8", VFIOD_RUNTIME_DIR="/nonexistent")
    full.update(env or {})
    full = {key: value for key, value in full.items() if value is not None}
    run = subprocess.run([LSVFIO, *map(str, args)], env=full, capture_output=True, timeout=30,
                         **options)
    run.stdout, run.stderr = run.stdout.decode(), run.stderr.decode()
    assert run.returncode in (0, 1, 2, 3, 64), run.stderr
    assert "Sanitizer" not in run.stderr and "runtime error" not in run.stderr
    return run


def devices(*args, **options):
    run = lsvfio("--json", *args, **options)
    assert run.returncode == 0, run.stderr
    top = json.loads(run.stdout)
    assert top["lsvfio"] == {"schema": 1}
    return top["devices"]


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def check_decoded(decoded, config):
    """Each value again, from the bytes."""
    assert len(decoded) > 20
    for register in decoded:
        for field in register["fields"]:
            word = int.from_bytes(config[register["offset"]:register["offset"] + 4], "little")
            assert field["value"] == word >> field["lsb"] & (1 << field["bits"]) - 1
            assert field["access"] in ("ro", "rw", "rw1c")
            assert field["user_writes"] in (True, False)
            assert field["view"] in ("raw", "virtual")

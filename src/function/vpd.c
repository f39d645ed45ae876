/* SPDX-License-Identifier: MIT */
/*
 * Vital product data: PCI Local Bus 3.0, appendix I. The user writes an address, and the flag F for
 * which way a dword is to go; F flips when it has gone. Here that is at once. Where there is
 * nothing, F stays, as with a device that never answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

int function_vpd_init(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;
	struct vital *v = &fn->vpd;

	if (!d->vpd)
		return 0;
	v->bytes = malloc(d->vpd_size);
	v->power_on = malloc(d->vpd_size);
	if (!v->bytes || !v->power_on)
		return -ENOMEM;
	memcpy(v->power_on, d->vpd, d->vpd_size);
	memcpy(v->bytes, d->vpd, d->vpd_size);
	v->size = d->vpd_size;
	return 0;
}

/* A real device has its own, unless the description has others for it. */
static bool is_real(const struct vfio_function *fn)
{
	return function_is_real(fn) && !fn->vpd.size;
}

static bool store(struct vfio_function *fn, uint16_t address, const uint8_t *data)
{
	struct vital *v = &fn->vpd;

	if (is_real(fn))
		return hardware_vital_store(fn, address, data);
	if (!is_aligned(address, 4) || !is_inside(address, 4, v->size))
		return false;
	memcpy(v->bytes + address, data, 4);
	return true;
}

/* Past the end there are zeros. */
static bool fetch(struct vfio_function *fn, uint16_t address, uint8_t *data)
{
	const struct vital *v = &fn->vpd;

	if (is_real(fn))
		return hardware_vital_fetch(fn, address, data);
	if (!v->size)
		return false;
	for (unsigned int i = 0; i < 4; i++)
		data[i] = address + i < v->size ? v->bytes[address + i] : 0;
	return true;
}

/* reg is where the address's upper byte lies. */
void function_vpd_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *cap = fn->view.shadow + fn->layout.vpd;
	uint16_t word = le16_get(cap + PCI_VPD_ADDR), address = word & PCI_VPD_ADDR_MASK;
	bool write = word & PCI_VPD_ADDR_F;
	bool done = write ? store(fn, address, cap + PCI_VPD_DATA)
			  : fetch(fn, address, cap + PCI_VPD_DATA);

	if (done)
		le16_put(cap + PCI_VPD_ADDR, word ^ PCI_VPD_ADDR_F);
	else if (is_real(fn))
		side_note(fn, EIO, VFIO_E_VPD, VFIO_BY_MODEL,
			  "write only at multiples of 4, inside of what there is",
			  "vital product data at %#x cannot be %s: the device does not do it", address,
			  write ? "written" : "read");
	else
		side_note(fn, EINVAL, VFIO_E_VPD, VFIO_BY_FUNCTION,
			  "write only at multiples of 4, inside of what there is",
			  "vital product data at %#x cannot be %s: there are %u bytes", address,
			  write ? "written" : "read", fn->vpd.size);
}

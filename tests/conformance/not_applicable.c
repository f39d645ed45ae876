/* SPDX-License-Identifier: MIT */
#include "row.h"

const struct no_row not_applicable[] = {
	{ 42, "needs virtual functions that the host has enabled; no call here enables one" },
	{ 66, "vfio_info() has no capabilities of the device, such as atomic completion" },
	{ 69, "vfio_region() lists areas; the capability is for those who call mmap()" },
	{ 82, "vfio_close() ends the maps of its handle" },
	{ 83, "a handle has no file position" },
	{ 85, "there is no call for ioeventfds" },
	{ 86, "there is no call for ioeventfds" },
	{ 87, "there is no call for ioeventfds" },
	{ 88, "there is no call for ioeventfds" },
	{ 89, "there is no call for ioeventfds" },
	{ 90, "there is no call for ioeventfds" },
	{ 0, NULL },
};

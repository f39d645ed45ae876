/* SPDX-License-Identifier: MIT */
/* Marks what the shared library exports; libvfio.map names the same functions. */
#ifndef LIBVFIO_EXPORT_H
#define LIBVFIO_EXPORT_H

#define EXPORT __attribute__((visibility("default")))

#endif

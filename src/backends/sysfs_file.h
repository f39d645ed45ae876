/* SPDX-License-Identifier: MIT */
/* Files of sysfs and procfs, which may be anything: in a test, or a container, anybody made them. */
#ifndef LIBVFIO_BACKENDS_SYSFS_FILE_H
#define LIBVFIO_BACKENDS_SYSFS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Open a regular file of the folder for reading, without waiting: its descriptor, or -errno. */
int sysfs_open_file(int folder, const char *name);

/* Exactly len bytes at offset: 0, or -errno; -ENODATA when there are fewer. */
int sysfs_read_bytes(int folder, const char *name, uint64_t offset, void *buf, size_t len);

/* Is the device whose folder it is switched off (D3cold)? To read its "config" would wake it. */
bool sysfs_is_off(int folder);

/* Up to size - 1 bytes from the start, and a NUL: how many; or -errno, and no text. */
ssize_t sysfs_read_text(int folder, const char *name, char *text, size_t size);

#endif

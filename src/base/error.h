/* SPDX-License-Identifier: MIT */
/* Filling error records. */
#ifndef LIBVFIO_ERROR_H
#define LIBVFIO_ERROR_H

#include <vfio/error.h>

/*
 * Fill *e (NULL: nowhere) and return -err. remedy is NULL, or says what to do; format says what
 * was asked and why it was refused.
 */
int error_set(struct vfio_error *e, int err, enum vfio_error_code code, enum vfio_refuser who,
	      const char *remedy, const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/* A system call failed with errno err while the library did what format says. */
int error_system(struct vfio_error *e, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Fill *e from a record that came from a stranger, of whose members nothing is certain; with errno
 * err, or the record's own if that is negative.
 */
int error_import(struct vfio_error *e, int err, const struct vfio_error *record);

void error_clear(struct vfio_error *e);

#endif

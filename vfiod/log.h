/* SPDX-License-Identifier: MIT */
/* Log lines on stderr: "vfiod: DEVICE: text". */
#ifndef VFIOD_LOG_H
#define VFIOD_LOG_H

#include <stddef.h>
#include <syslog.h>

#include <vfio/error.h>

/*
 * Print lines up to this level (LOG_ERR … LOG_DEBUG), with "<N>" in front when the journal reads
 * them.
 */
void log_open(int level);

/* One line; device may be NULL. What is not printable (clients cause lines, too) becomes '?'. */
void log_line(int level, const char *device, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An error record as part of a line: "VFIO-103: …: No such file or directory (kernel): remedy". */
#define LOG_RECORD_SIZE 640
void log_record_text(char *text, size_t size, const struct vfio_error *err);

#define log_error(device, ...)   log_line(LOG_ERR, device, __VA_ARGS__)
#define log_warning(device, ...) log_line(LOG_WARNING, device, __VA_ARGS__)
#define log_notice(device, ...)  log_line(LOG_NOTICE, device, __VA_ARGS__)
#define log_info(device, ...)    log_line(LOG_INFO, device, __VA_ARGS__)

#endif

/* SPDX-License-Identifier: MIT */
/* What both programs print alike. */
#ifndef GUEST_OUTPUT_H
#define GUEST_OUTPUT_H

/* A comment line that says what follows. */
__attribute__((format(printf, 1, 2))) void section(const char *format, ...);

/* The head of a trace: of what ("device", "trace"), its name, and by which kernel. */
void print_head(const char *what, const char *name);

#endif

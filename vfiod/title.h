/* SPDX-License-Identifier: MIT */
/* What ps(1) and top(1) show for a process. */
#ifndef VFIOD_TITLE_H
#define VFIOD_TITLE_H

/* Remember where the command line lies. */
void title_init(int argc, char *argv[]);

/* Overwrite it with "vfiod: NAME". Nothing may point into argv any more. */
void title_set(const char *name);

#endif

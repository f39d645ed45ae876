/* SPDX-License-Identifier: MIT */
/* The devices that the rows run on: some are described, some are captures of others' devices. */
#ifndef CONFORMANCE_SUBJECTS_H
#define CONFORMANCE_SUBJECTS_H

#include <vfio/device.h>

/* A byte of a capture that is changed before use, for what the device never showed. */
struct patch {
	uint16_t at;
	uint8_t value;
};

#define SUBJECT_PATCHES 4

struct subject {
	const char *name;
	const struct vfio_function_description *description;
	const char *capture;		/* file of tests/data/pci, for the configuration space */
	struct patch patches[SUBJECT_PATCHES];	/* up to one with an at of 0 */
	unsigned int model_bar;		/* where the model's registers are */
	bool resets;			/* the model can be reset */
};

/* The subject of this name, or NULL; and all of them, up to one without a name. */
const struct subject *subject_find(const char *name);
extern const struct subject subjects[];

/* Make the function; 0, or a negative errno and the reason. */
int subject_new(const struct subject *s, struct vfio_function **fn, struct vfio_error *err);

/*
 * The configuration space behind the virtual function as it is at first: how many bytes were stored
 * in config[4096], or a negative errno.
 */
int subject_config(const struct subject *s, uint8_t *config);

#endif

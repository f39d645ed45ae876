/* SPDX-License-Identifier: MIT */
/* What policy.c, which decides, and policy_words.c, which reads and writes, share. */
#ifndef LIBVFIO_FUNCTION_POLICY_H
#define LIBVFIO_FUNCTION_POLICY_H

#include "function/function.h"

/* In the order of the table, and of the manual. */
enum policy_key {
	VIEW, HIDE, HIDDEN, VECTORS, HOST_LACKS, LACKING, MALFORMED, BEHAVIOUR, AT_CLOSE,
	MAX_MAPS, MAX_DMA, IOVA, PROCESS_MEMORY,
};

#define POLICY_WORD 64		/* room for one of a list */

/* False, and *p is spoilt, for a value that the key cannot have. */
bool policy_parse(struct policy *p, enum policy_key key, const char *value);
void policy_print(const struct policy *p, enum policy_key key, char *value, size_t size);

/* The word of a list of capabilities that is none, or NULL. */
const char *policy_bad_word(const char *list, char word[POLICY_WORD]);

#endif

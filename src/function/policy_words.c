/* SPDX-License-Identifier: MIT */
/* The words for what the administrator decides, read and written. */
#include "function/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/bits.h"

typedef unsigned long long ull;

static const char *const interrupt_names[] = { "intx", "msi", "msix" };

/* ---- lists -------------------------------------------------------------------------------- */

/* The next word of a list that commas or space separate; false at its end. */
static bool next_word(const char **list, char word[POLICY_WORD])
{
	size_t n;

	*list += strspn(*list, ", \t");
	n = strcspn(*list, ", \t");
	if (!n)
		return false;
	snprintf(word, POLICY_WORD, "%.*s", (int)n, *list);
	*list += n;
	return true;
}

/* The structure that a word names: a name of the table, or a number; UINT32_MAX for none. */
static uint32_t structure_of(const char *word)
{
	bool extended = strncasecmp(word, "ext:", 4) == 0;
	const char *name = extended ? word + 4 : word;
	const struct vfio_pci_structure *table;
	unsigned long number;
	size_t count;
	char *end;

	table = vfio_pci_table(&count);
	for (size_t i = 0; i < count; i++) {
		uint32_t n = table[i].number;

		if (n && n != VFIO_PCI_EXTENDED && !(n & VFIO_PCI_BRIDGE) &&
		    (!extended || (n & VFIO_PCI_EXTENDED)) && strcasecmp(table[i].name, name) == 0)
			return n;
	}
	if (!isdigit((unsigned char)*name))
		return UINT32_MAX;
	number = strtoul(name, &end, strncasecmp(name, "0x", 2) == 0 ? 16 : 10);
	if (*end || !number || number > (extended ? 0xffff : 0xff))
		return UINT32_MAX;
	return number | (extended ? VFIO_PCI_EXTENDED : 0);
}

bool policy_hides(const struct policy *p, uint32_t structure)
{
	const char *list = p->hide;
	char word[POLICY_WORD];

	while (next_word(&list, word))
		if (structure_of(word) == structure)
			return true;
	return false;
}

/* Of a long list of capabilities, the one that is none. */
const char *policy_bad_word(const char *list, char word[POLICY_WORD])
{
	while (next_word(&list, word))
		if (structure_of(word) == UINT32_MAX)
			return word;
	return NULL;
}

/* ---- from words --------------------------------------------------------------------------- */

static bool one_of(const char *value, const char *zero, const char *one, const char *two,
		   unsigned int *which)
{
	const char *const words[] = { zero, one, two };

	for (unsigned int i = 0; i < 3; i++) {
		if (words[i] && strcmp(value, words[i]) == 0) {
			*which = i;
			return true;
		}
	}
	return false;
}

static bool number(const char *value, unsigned long most, uint32_t *out)
{
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)*value))
		return false;
	n = strtoul(value, &end, 10);
	if (*end || n > most)
		return false;
	*out = n;
	return true;
}

static bool set_hide(struct policy *p, const char *value)
{
	const char *list = value;
	char word[POLICY_WORD];

	if (strlen(value) >= sizeof(p->hide))
		return false;
	strcpy(p->hide, value);
	if (strcmp(value, "none") == 0)
		return true;
	if (!next_word(&list, word))
		return false;
	do {
		if (structure_of(word) == UINT32_MAX)
			return false;
	} while (next_word(&list, word));
	return true;
}

static bool set_host_lacks(struct policy *p, const char *value)
{
	char word[POLICY_WORD];
	uint32_t lacks = 0;
	unsigned int which;

	p->host_lacks = 0;
	if (strcmp(value, "none") == 0)
		return true;
	while (next_word(&value, word)) {
		if (!one_of(word, "intx", "msi", "msix", &which))
			return false;
		lacks |= 1u << which;
	}
	p->host_lacks = lacks;
	return lacks;
}

/* Bytes, as "65536", "64M": the letters are for powers of 1024. */
static bool bytes(const char *value, uint64_t *out)
{
	static const char letters[] = "KMGTPE";
	const char *letter;
	unsigned int shift = 0;
	ull n;
	char *end;

	if (!isdigit((unsigned char)*value))
		return false;
	errno = 0;
	n = strtoull(value, &end, 10);
	letter = *end ? strchr(letters, *end) : NULL;
	if (letter) {
		shift = 10 * (unsigned int)(letter - letters + 1);
		end++;
	}
	if (*end || errno || n > UINT64_MAX >> shift || n == UINT64_MAX)
		return false;
	*out = n << shift;
	return true;
}

static bool address(const char *text, char **end, uint64_t *out)
{
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoull(text, end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	return !errno;
}

static bool range(const char *word, struct vfio_iova_range *out)
{
	uint64_t start, last;
	char *end;

	if (strlen(word) == POLICY_WORD - 1)	/* it was cut */
		return false;
	if (!address(word, &end, &start) || *end != '-' || !address(end + 1, &end, &last) || *end)
		return false;
	*out = (struct vfio_iova_range){ start, last };
	return start < last && is_aligned(start, DMA_PAGE) && is_aligned(last + 1, DMA_PAGE);
}

/* The ranges ascend, as they must for space_allow(). */
static bool set_iova(struct policy *p, const char *value)
{
	char word[POLICY_WORD];

	p->nranges = 0;
	if (strlen(value) >= sizeof(p->iova))
		return false;
	strcpy(p->iova, value);
	if (strcmp(value, "all") == 0)
		return true;
	while (next_word(&value, word)) {
		struct vfio_iova_range *r = &p->ranges[p->nranges];

		if (p->nranges == SPACE_MAX_ALLOWED || !range(word, r) ||
		    (p->nranges && r->start <= r[-1].end))
			return false;
		p->nranges++;
	}
	return p->nranges != 0;
}

bool policy_parse(struct policy *p, enum policy_key key, const char *value)
{
	unsigned int which = 0;
	bool good = false;

	switch (key) {
	case VIEW:
		good = one_of(value, "virtual", "filtered", NULL, &which);
		p->view = which;
		break;
	case HIDE:
		return set_hide(p, value);
	case HIDDEN:
		good = one_of(value, "raw", "zero", NULL, &which);
		p->hidden_zero = which;
		break;
	case VECTORS:
		p->vectors = UINT32_MAX;
		return strcmp(value, "all") == 0 || number(value, MSIX_MAX, &p->vectors);
	case HOST_LACKS:
		return set_host_lacks(p, value);
	case LACKING:
		good = one_of(value, "fail", "hide", "emulate", &which);
		p->lacking = which;
		break;
	case MALFORMED:
		good = one_of(value, "serve", "refuse", NULL, &which);
		p->refuse_malformed = which;
		break;
	case BEHAVIOUR:
		p->behaviour = BEHAVIOUR_LATEST;
		return strcmp(value, "latest") == 0 ||
		       (number(value, BEHAVIOUR_LATEST, &p->behaviour) && p->behaviour);
	case AT_CLOSE:
		good = one_of(value, "reset", "keep", NULL, &which);
		p->keep = which;
		break;
	case MAX_MAPS:
		return number(value, SPACE_MAPS, &p->max_maps);
	case MAX_DMA:
		p->max_dma = UINT64_MAX;
		return strcmp(value, "all") == 0 || bytes(value, &p->max_dma);
	case IOVA:
		return set_iova(p, value);
	case PROCESS_MEMORY:
		good = one_of(value, "refuse", "allow", NULL, &which);
		p->process_memory = which;
		break;
	}
	return good;
}

/* ---- to words ----------------------------------------------------------------------------- */

static void print_host_lacks(uint32_t lacks, char *value, size_t size)
{
	size_t used = 0;

	snprintf(value, size, "none");
	for (unsigned int i = 0; i < 3; i++)
		if (lacks >> i & 1)
			used += snprintf(value + used, size - used, "%s%s", used ? "," : "",
					 interrupt_names[i]);
}

/* "64M": exact. */
static void print_bytes(uint64_t bytes, char *value, size_t size)
{
	static const char *const letters[] = { "", "K", "M", "G", "T", "P", "E" };
	unsigned int i = 0;

	while (bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	snprintf(value, size, "%llu%s", (ull)bytes, letters[i]);
}

void policy_print(const struct policy *p, enum policy_key key, char *value, size_t size)
{
	static const char *const lacking[] = { "fail", "hide", "emulate" };

	switch (key) {
	case VIEW:
		snprintf(value, size, "%s", p->view == VIEW_FILTERED ? "filtered" : "virtual");
		break;
	case HIDE:
		snprintf(value, size, "%s", p->hide);
		break;
	case HIDDEN:
		snprintf(value, size, "%s", p->hidden_zero ? "zero" : "raw");
		break;
	case VECTORS:
		if (p->vectors == UINT32_MAX)
			snprintf(value, size, "all");
		else
			snprintf(value, size, "%u", p->vectors);
		break;
	case HOST_LACKS:
		print_host_lacks(p->host_lacks, value, size);
		break;
	case LACKING:
		snprintf(value, size, "%s", lacking[p->lacking]);
		break;
	case MALFORMED:
		snprintf(value, size, "%s", p->refuse_malformed ? "refuse" : "serve");
		break;
	case BEHAVIOUR:
		if (p->behaviour == BEHAVIOUR_LATEST)
			snprintf(value, size, "latest");
		else
			snprintf(value, size, "%u", p->behaviour);
		break;
	case AT_CLOSE:
		snprintf(value, size, "%s", p->keep ? "keep" : "reset");
		break;
	case MAX_MAPS:
		snprintf(value, size, "%u", p->max_maps);
		break;
	case MAX_DMA:
		if (p->max_dma == UINT64_MAX)
			snprintf(value, size, "all");
		else
			print_bytes(p->max_dma, value, size);
		break;
	case IOVA:
		snprintf(value, size, "%s", p->iova);
		break;
	case PROCESS_MEMORY:
		snprintf(value, size, "%s", p->process_memory ? "allow" : "refuse");
		break;
	}
}

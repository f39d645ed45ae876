/* SPDX-License-Identifier: MIT */
/*
 * What the administrator decides. One table has the keys, what they may be and what holds when
 * nothing is said: for vfio_policy_set(), for vfiod's configuration, and for people.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/export.h"
#include "function/function.h"

enum key { VIEW, HIDE, HIDDEN, VECTORS, HOST_LACKS, LACKING, MALFORMED, BEHAVIOUR, AT_CLOSE };

static const struct vfio_policy_key keys[] = {
	[VIEW] = { "view", "virtual, filtered", "virtual",
		   "show the virtual function, or its own registers with harmful writes refused" },
	[HIDE] = { "hide", "none, or capabilities: MSI-X, VPD, 0x09, ext:AER, ext:0x0b", "none",
		   "capabilities that are taken out of the lists" },
	[HIDDEN] = { "hidden", "raw, zero", "raw",
		     "what is read where a hidden capability lies" },
	[VECTORS] = { "vectors", "all, or a number up to 2048", "all",
		      "the most MSI or MSI-X vectors that a driver is granted" },
	[HOST_LACKS] = { "host-lacks", "none, or kinds of interrupts: intx, msi, msix", "none",
			 "kinds of interrupts that cannot be delivered as they are" },
	[LACKING] = { "lacking", "fail, hide, emulate", "fail",
		      "what becomes of an interrupt that the device has and the host lacks" },
	[MALFORMED] = { "malformed", "serve, refuse", "serve",
			"what becomes of a device whose lists of capabilities are broken" },
	[BEHAVIOUR] = { "behaviour", "latest, or a version: 1, 2", "latest",
			"the version of the library's behaviour that the device keeps to" },
	[AT_CLOSE] = { "at-close", "reset, keep", "reset",
		       "what becomes of the device's state when its user goes" },
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const interrupt_names[] = { "intx", "msi", "msix" };

EXPORT const struct vfio_policy_key *vfio_policy_keys(size_t *count)
{
	*count = NKEYS;
	return keys;
}

void policy_init(struct policy *p)
{
	*p = (struct policy){ .hide = "none", .vectors = UINT32_MAX, .behaviour = BEHAVIOUR_LATEST };
}

/* ---- lists -------------------------------------------------------------------------------- */

#define WORD_ROOM 64

/* The next word of a list that commas or space separate; false at its end. */
static bool next_word(const char **list, char word[WORD_ROOM])
{
	size_t n;

	*list += strspn(*list, ", \t");
	n = strcspn(*list, ", \t");
	if (!n)
		return false;
	snprintf(word, WORD_ROOM, "%.*s", (int)n, *list);
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
	char word[WORD_ROOM];

	while (next_word(&list, word))
		if (structure_of(word) == structure)
			return true;
	return false;
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
	char word[WORD_ROOM];

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
	char word[WORD_ROOM];
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

static bool parse(struct policy *p, enum key key, const char *value)
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

static void print(const struct policy *p, enum key key, char *value, size_t size)
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
	}
}

/* ---- the calls ---------------------------------------------------------------------------- */

static int find_key(struct vfio_function *fn, const char *name)
{
	for (unsigned int i = 0; i < NKEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return i;
	return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY,
				       "vfio_policy_keys() and `vfiod --print-policy` list the keys",
				       "no policy is called '%s'", name));
}

static bool is_used(const struct vfio_function *fn)
{
	const struct interrupts *irq = &fn->irq;

	return irq->active != NO_INDEX || irq->err >= 0 || irq->req >= 0 || fn->space.ranges.count;
}

/* Make the device anew, under this policy; as it was if that fails. */
static int adopt(struct vfio_function *fn, const struct policy *p)
{
	struct policy before = fn->policy;
	uint64_t resets = fn->resets;
	struct vfio_error told;
	int r;

	if (is_used(fn))
		return side_keep(fn, error_set(fn->err, EBUSY, VFIO_E_BUSY, VFIO_BY_FUNCTION,
				"wait until its user has gone",
				"the policy cannot change while interrupts are enabled or memory is "
				"mapped"));
	fn->policy = *p;
	r = function_view(fn);
	if (r == 0)
		r = function_power_on(fn);
	fn->resets = resets;		/* that was at nobody's wish */
	if (r == 0)
		return 0;
	told = *fn->err;
	fn->policy = before;
	function_view(fn);
	function_power_on(fn);
	fn->resets = resets;
	*fn->err = told;
	return side_keep(fn, r);
}

/* Of a long list of capabilities, the one that is none. */
static const char *bad_word(const char *list, char word[WORD_ROOM])
{
	while (next_word(&list, word))
		if (structure_of(word) == UINT32_MAX)
			return word;
	return NULL;
}

static int refuse_value(struct vfio_function *fn, enum key which, const char *value)
{
	const char *remedy = "`vfiod --print-policy` lists keys and values";
	char room[WORD_ROOM];
	const char *word = which == HIDE ? bad_word(value, room) : NULL;

	if (word)
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy 'hide': '%s' is no capability that is known, nor the number "
			  "of one", word);
	else if (which == HIDE && strlen(value) >= sizeof(fn->policy.hide))
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy 'hide': the list has %zu bytes, and at most %zu are allowed",
			  strlen(value), sizeof(fn->policy.hide) - 1);
	else
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy '%s' cannot be '%s': %s", keys[which].name, value,
			  keys[which].values);
	return side_keep(fn, -EINVAL);
}

int function_policy_set(struct vfio_function *fn, const char *key, const char *value)
{
	struct policy p = fn->policy;
	int which = find_key(fn, key);

	if (which < 0)
		return which;
	if (!parse(&p, which, value))
		return refuse_value(fn, which, value);
	if (which != VECTORS && which != AT_CLOSE)
		return adopt(fn, &p);
	fn->policy = p;
	return 0;
}

int function_policy_get(struct vfio_function *fn, const char *key, char *value, size_t size)
{
	char text[sizeof(fn->policy.hide)];
	int which = find_key(fn, key);

	if (which < 0)
		return which;
	print(&fn->policy, which, text, sizeof(text));
	if (strlen(text) >= size)
		return error_set(fn->err, ENOSPC, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "the policy '%s' needs %zu bytes, and there are %zu", key,
				 strlen(text) + 1, size);
	strcpy(value, text);
	return 0;
}

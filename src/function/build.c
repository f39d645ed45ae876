/* SPDX-License-Identifier: MIT */
/* From a description to the function's own registers, in the state in which a user gets them. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

/* Where the next capability goes, and what it is linked from. */
struct place {
	uint8_t *config;
	unsigned int next, end;
	unsigned int last;		/* offset of the last one, 0: none yet */
	bool overflow;
};

static unsigned int take(struct place *p, unsigned int length)
{
	unsigned int at = p->next;

	if (length > p->end - at) {
		p->overflow = true;
		return 0;
	}
	p->next = align_up(at + length, 4);
	if (p->next > p->end)
		p->next = p->end;
	return at;
}

/* Link a capability of length bytes in; NULL if there is no room. */
static uint8_t *add_standard(struct place *p, uint8_t id, unsigned int length)
{
	unsigned int at = take(p, length);
	uint8_t *c = p->config;

	if (!at)
		return NULL;
	c[p->last ? p->last + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST] = at;
	c[at] = id;
	c[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	p->last = at;
	return c + at;
}

static uint8_t *add_extended(struct place *p, uint16_t id, uint8_t version, unsigned int length)
{
	unsigned int at = take(p, length);

	if (!at)
		return NULL;
	if (p->last)
		le32_put(p->config + p->last, le32_get(p->config + p->last) | at << 20);
	le32_put(p->config + at, id | (uint32_t)version << 16);
	p->last = at;
	return p->config + at;
}

/* ---- what the library knows how to describe ----------------------------------------------- */

static void build_header(struct vfio_function *fn, uint8_t *c)
{
	const struct vfio_function_description *d = &fn->description;

	le16_put(c + PCI_VENDOR_ID, d->vendor);
	le16_put(c + PCI_DEVICE_ID, d->device);
	c[PCI_REVISION_ID] = d->revision;
	c[PCI_CLASS_PROG] = d->class_code;
	c[PCI_CLASS_PROG + 1] = d->class_code >> 8;
	c[PCI_CLASS_PROG + 2] = d->class_code >> 16;
	le16_put(c + PCI_SUBSYSTEM_VENDOR_ID, d->subsystem_vendor);
	le16_put(c + PCI_SUBSYSTEM_ID, d->subsystem);
	c[PCI_INTERRUPT_PIN] = d->virtual_function ? 0 : d->interrupt_pin;
}

static void build_bars(struct vfio_function *fn, uint8_t *c)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		uint32_t flags = fn->description.bars[i].flags;
		uint8_t type = 0;

		if (flags & VFIO_BAR_IO)
			type |= PCI_BASE_ADDRESS_SPACE_IO;
		if (flags & VFIO_BAR_MEM64)
			type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (flags & VFIO_BAR_PREFETCH)
			type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
		if (!fn->description.virtual_function)
			c[PCI_BASE_ADDRESS_0 + 4 * i] = type;
	}
}

static void build_power(struct place *p)
{
	uint8_t *cap = add_standard(p, PCI_CAP_ID_PM, PCI_PM_SIZEOF);

	if (!cap)
		return;
	le16_put(cap + PCI_PM_PMC, 3);		/* version 1.2; no D1, no D2, no PME */
	le16_put(cap + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
}

static void build_msi(const struct vfio_function_description *d, struct place *p)
{
	uint8_t *cap = add_standard(p, PCI_CAP_ID_MSI, d->msi_mask ? 24 : 14);
	uint16_t capable = __builtin_ctz(d->msi_vectors) << 1;

	if (cap)
		le16_put(cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | capable |
			 (d->msi_mask ? PCI_MSI_FLAGS_MASKBIT : 0));
}

static void build_msix(const struct vfio_function_description *d, struct place *p)
{
	uint8_t *cap = add_standard(p, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);

	if (!cap)
		return;
	le16_put(cap + PCI_MSIX_FLAGS, d->msix_vectors - 1);
	le32_put(cap + PCI_MSIX_TABLE, d->msix_table | d->msix_bar);
	le32_put(cap + PCI_MSIX_PBA, d->msix_pba | d->msix_bar);
}

/* An endpoint of version 2 at the end of a 2.5 GT/s link of one lane: PCIe 5.0, 7.5.3. */
static void build_express(const struct vfio_function *fn, struct place *p)
{
	uint8_t *cap = add_standard(p, PCI_CAP_ID_EXP, PCI_CAP_EXP_ENDPOINT_SIZEOF_V2);

	if (!cap)
		return;
	le16_put(cap + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
	le32_put(cap + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER |
		 (fn->ops->reset ? PCI_EXP_DEVCAP_FLR : 0));
	le16_put(cap + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN |
		 PCI_EXP_DEVCTL_READRQ_512B);
	le32_put(cap + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4);
	le16_put(cap + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_2_5GB | PCI_EXP_LNKSTA_NLW_X1);
	le32_put(cap + PCI_EXP_LNKCAP2, PCI_EXP_LNKCAP2_SLS_2_5GB);
	le16_put(cap + PCI_EXP_LNKCTL2, PCI_EXP_LNKCTL2_TLS_2_5GT);
}

/* The reset values of mask and severity are those of PCIe 5.0, 7.8.4. */
static void build_aer(struct place *p)
{
	uint8_t *cap = add_extended(p, PCI_EXT_CAP_ID_ERR, 2, 0x2c);

	if (!cap)
		return;
	le32_put(cap + PCI_ERR_UNCOR_SEVER, PCI_ERR_UNC_DLP | PCI_ERR_UNC_SURPDN | PCI_ERR_UNC_FCP |
		 PCI_ERR_UNC_RX_OVER | PCI_ERR_UNC_MALF_TLP | PCI_ERR_UNC_INTN);
	le32_put(cap + PCI_ERR_COR_MASK, PCI_ERR_COR_ADV_NFAT | PCI_ERR_COR_INTERNAL);
}

/* ---- what is described byte by byte ------------------------------------------------------- */

static void build_given(const struct vfio_function_description *d, struct place *standard,
			struct place *extended)
{
	for (uint32_t i = 0; i < d->ncapabilities; i++) {
		const struct vfio_capability_description *c = &d->capabilities[i];
		unsigned int header = c->extended ? 4 : 2;
		uint8_t *cap = c->extended
			? add_extended(extended, c->id, c->version, header + c->length)
			: add_standard(standard, c->id, header + c->length);

		if (cap && c->length)
			memcpy(cap + header, c->bytes, c->length);
	}
}

/* Those bits of a capability that is given which can be written, whatever the table says. */
static void make_writable(struct vfio_function *fn, unsigned int standard, unsigned int extended)
{
	const struct vfio_function_description *d = &fn->description;

	for (uint32_t i = 0; i < d->ncapabilities; i++) {
		const struct vfio_capability_description *c = &d->capabilities[i];
		unsigned int header = c->extended ? 4 : 2;
		unsigned int *at = c->extended ? &extended : &standard;

		for (unsigned int k = 0; c->writable && k < c->length; k++)
			fn->registers.write[*at + header + k] |= c->writable[k];
		*at = align_up(*at + header + c->length, 4);
	}
}

static bool build_described(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;
	uint8_t *c = fn->registers.value;
	struct place standard = { .config = c, .next = 0x40, .end = PCI_CFG_SPACE_SIZE };
	struct place extended = { .config = c, .next = 0x100, .end = fn->config_size };
	unsigned int given, given_extended;

	build_header(fn, c);
	build_bars(fn, c);
	if (d->power_management)
		build_power(&standard);
	if (d->msi_vectors)
		build_msi(d, &standard);
	if (d->msix_vectors)
		build_msix(d, &standard);
	if (d->express)
		build_express(fn, &standard);
	if (d->vpd)
		add_standard(&standard, PCI_CAP_ID_VPD, PCI_CAP_VPD_SIZEOF);
	if (d->express)
		build_aer(&extended);
	given = standard.next;
	given_extended = extended.next;
	build_given(d, &standard, &extended);
	if (standard.overflow || extended.overflow)
		return false;
	make_writable(fn, given, given_extended);
	return true;
}

/* ---- the state in which a user gets it ---------------------------------------------------- */

/* Nothing is under way: D0, no message-signalled interrupt enabled, no reset asked for. */
static void quiet(uint8_t *cap, uint8_t id, unsigned int length)
{
	switch (id) {
	case PCI_CAP_ID_PM:
		if (length >= 6)
			cap[PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
		break;
	case PCI_CAP_ID_MSI:
		cap[PCI_MSI_FLAGS] &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
		break;
	case PCI_CAP_ID_MSIX:
		cap[PCI_MSIX_FLAGS + 1] &= ~((PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) >> 8);
		break;
	case PCI_CAP_ID_EXP:
		if (length >= 10)
			cap[PCI_EXP_DEVCTL + 1] &= ~(PCI_EXP_DEVCTL_BCR_FLR >> 8);
		break;
	case PCI_CAP_ID_AF:
		if (length >= 5)
			cap[PCI_AF_CTRL] &= ~PCI_AF_CTRL_FLR;
		break;
	}
}

/*
 * As the kernel hands a device to its user: decoders on, bus mastering and INTx disable off.
 */
static void hand_over(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t *c = fn->registers.value, decoders = 0;
	unsigned int n = vfio_pci_walk(c, fn->config_size, caps, NULL);

	for (unsigned int i = 0; i < NUM_BARS; i++)
		if (d->bars[i].size)
			decoders |= d->bars[i].flags & VFIO_BAR_IO ? PCI_COMMAND_IO
								   : PCI_COMMAND_MEMORY;
	if (fn->rom_size)
		decoders |= PCI_COMMAND_MEMORY;
	c[PCI_COMMAND] &= ~PCI_COMMAND_MASTER;
	if (!d->virtual_function)
		c[PCI_COMMAND] |= decoders;
	c[PCI_COMMAND + 1] &= ~(PCI_COMMAND_INTX_DISABLE >> 8);
	c[PCI_STATUS] &= ~PCI_STATUS_INTERRUPT;
	for (unsigned int i = 0; i < n; i++)
		quiet(c + caps[i].offset, caps[i].id, caps[i].length);
}

static bool is_expandable(const struct vfio_function_description *d)
{
	return d->config ? d->config_size > PCI_CFG_SPACE_SIZE : d->express;
}

/* The function's own registers: values at power-on, and how they behave. */
int function_build(struct vfio_function *fn, struct vfio_error *err)
{
	const struct vfio_function_description *d = &fn->description;
	struct registers *r = &fn->registers;

	fn->config_size = is_expandable(d) ? CONFIG_MAX : CONFIG_SIZE;
	if (d->config)
		memcpy(r->value, d->config, d->config_size);
	else if (!build_described(fn))
		return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION,
				 "leave some out", "the description of the PCI function is wrong: its "
				 "capabilities do not fit into configuration space");
	hand_over(fn);
	registers_behave(r, fn->config_size);
	memcpy(r->power_on, r->value, CONFIG_MAX);
	if (function_is_real(fn))
		hardware_take(fn);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Explaining configuration space that may be anything. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vfio/pci.h>

#include "base/bits.h"

static void put_cap(uint8_t *config, uint8_t at, uint8_t id, uint8_t next)
{
	config[at] = id;
	config[at + 1] = next;
}

/* ---- fields -------------------------------------------------------------------------------- */

/* A device with PM, a 64-bit MSI with masks, MSI-X and a capability that nobody knows. */
static void golden_config(uint8_t c[256])
{
	memset(c, 0, 256);
	c[0x06] = 0x10;
	c[0x34] = 0x40;
	le32_put(c, 0x11e81234);
	c[0x04] = 0x06;
	c[0x05] = 0x04;
	le32_put(c + 0x08, 0x00ff0010);
	le32_put(c + 0x10, 0xfebf000c);
	put_cap(c, 0x40, 0x01, 0x50);
	le16_put(c + 0x42, 0xc803);
	le16_put(c + 0x44, 0x000b);
	put_cap(c, 0x50, 0x05, 0x70);
	le16_put(c + 0x52, 0x01a5);
	le32_put(c + 0x54, 0xfee00000);
	le16_put(c + 0x5c, 0x4041);
	le32_put(c + 0x60, 0x00000003);
	put_cap(c, 0x70, 0x11, 0x80);
	le16_put(c + 0x72, 0x8007);
	le32_put(c + 0x74, 0x00002002);
	le32_put(c + 0x78, 0x00003002);
	put_cap(c, 0x80, 0x77, 0);
}

static const char golden_text[] =
	"Header 0x00 VendorID 0x1234\n"
	"Header 0x02 DeviceID 0x11e8\n"
	"Header 0x04 Command.Memory 0x1\n"
	"Header 0x04 Command.BusMaster 0x1\n"
	"Header 0x04 Command.INTxDisable 0x1\n"
	"Header 0x06 Status.CapabilityList 0x1\n"
	"Header 0x08 RevisionID 0x10\n"
	"Header 0x0a SubClass 0xff\n"
	"Header 0x10 BAR0 0xfebf000c\n"
	"Header 0x34 CapabilityPointer 0x40\n"
	"PM 0x42 PMC.Version 0x3\n"
	"PM 0x42 PMC.PMESupport 0x19\n"
	"PM 0x44 PMCSR.PowerState 0x3\n"
	"PM 0x44 PMCSR.NoSoftReset 0x1\n"
	"MSI 0x52 Control.Enable 0x1\n"
	"MSI 0x52 Control.MultipleCapable 0x2\n"
	"MSI 0x52 Control.MultipleEnable 0x2\n"
	"MSI 0x52 Control.64Bit 0x1\n"
	"MSI 0x52 Control.VectorMask 0x1\n"
	"MSI 0x54 Address 0xfee00000\n"
	"MSI 0x5c Data 0x4041\n"
	"MSI 0x60 Mask 0x3\n"
	"MSI-X 0x72 Control.TableSize-1 0x7\n"
	"MSI-X 0x72 Control.Enable 0x1\n"
	"MSI-X 0x74 Table.BAR 0x2\n"
	"MSI-X 0x74 Table.Offset>>3 0x400\n"
	"MSI-X 0x78 Pending.BAR 0x2\n"
	"MSI-X 0x78 Pending.Offset>>3 0x600\n"
	"Capability 0x80 0x77\n";

/* What is not zero, one line a field. */
static int write_line(void *arg, const struct vfio_pci_value *v)
{
	if (!v->value)
		return 0;
	fprintf(arg, "%s 0x%02x", v->structure, v->offset);
	if (v->extended)
		fprintf(arg, " v%u", v->version);
	if (v->field)
		fprintf(arg, " %s%s%s", v->field->reg_name, v->field->name[0] ? "." : "",
			v->field->name);
	fprintf(arg, " %#x\n", v->value);
	return 0;
}

static void decodes_the_golden_config(void **state)
{
	uint8_t config[256];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, sizeof(config), write_line, f), 0);
	fclose(f);
	assert_string_equal(text, golden_text);
	free(text);
}

static int count_or_stop(void *arg, const struct vfio_pci_value *v)
{
	int *left = arg;

	return --*left == 0 ? 42 : 0;
}

static void the_callback_can_stop_it(void **state)
{
	uint8_t config[256];
	int left = 3;

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, sizeof(config), count_or_stop, &left), 42);
	assert_int_equal(left, 0);
}

static void decoder_refuses_what_is_no_header(void **state)
{
	uint8_t config[256];
	int left = 1000;

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, 63, count_or_stop, &left), -EINVAL);
	config[0x0e] = 2;		/* a bridge to CardBus */
	assert_int_equal(vfio_pci_decode(config, 256, count_or_stop, &left), -EINVAL);
	config[0x0e] = 0x7f;
	assert_int_equal(vfio_pci_decode(config, 256, count_or_stop, &left), -EINVAL);
	assert_int_equal(left, 1000);
	config[0x0e] = 0x80;		/* a function of several */
	assert_int_equal(vfio_pci_decode(config, 256, count_or_stop, &left), 0);
}

/* ---- extended capabilities ------------------------------------------------------------------ */

/* A root port with AER, an unknown capability, a vendor's, and a null one in front. */
static void golden_port(uint8_t c[4096])
{
	memset(c, 0, 4096);
	c[0x06] = 0x10;
	c[0x0e] = 0x01;
	c[0x19] = 0x05;
	c[0x34] = 0x40;
	put_cap(c, 0x40, 0x10, 0);
	le16_put(c + 0x42, 0x0142);
	le32_put(c + 0x40 + 0x14, 0x00180000);
	le16_put(c + 0x40 + 0x1c, 0x0010);
	le32_put(c + 0x100, 0x10400000);
	le32_put(c + 0x104, 0x14020001);
	le32_put(c + 0x108, 0x00100000);
	le32_put(c + 0x114, 0x00002000);
	le32_put(c + 0x130, 0x00000007);
	le32_put(c + 0x140, 0x15017777);
	le32_put(c + 0x150, 0x0001000b);
	le32_put(c + 0x154, 0x01030042);
}

static const char golden_port_text[] =
	"Header 0x06 Status.CapabilityList 0x1\n"
	"Header 0x0e HeaderType.Layout 0x1\n"
	"Header 0x19 SecondaryBus 0x5\n"
	"Header 0x34 CapabilityPointer 0x40\n"
	"PCIExpress 0x42 Cap.Version 0x2\n"
	"PCIExpress 0x42 Cap.Type 0x4\n"
	"PCIExpress 0x42 Cap.Slot 0x1\n"
	"PCIExpress 0x54 SltCap.Slot 0x3\n"
	"PCIExpress 0x5c RootCtl.CRSVisible 0x1\n"
	"AER 0x108 v2 UESta.UnsupReq 0x1\n"
	"AER 0x114 v2 CESta.AdvNonFatalErr 0x1\n"
	"AER 0x130 v2 RootCmd.CERptEn 0x1\n"
	"AER 0x130 v2 RootCmd.NFERptEn 0x1\n"
	"AER 0x130 v2 RootCmd.FERptEn 0x1\n"
	"Capability 0x140 v1 0x7777\n"
	"VSEC 0x154 v1 Vendor.ID 0x42\n"
	"VSEC 0x154 v1 Vendor.Rev 0x3\n"
	"VSEC 0x154 v1 Vendor.Length 0x10\n";

static void decodes_the_golden_port(void **state)
{
	uint8_t config[4096];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	golden_port(config);
	assert_int_equal(vfio_pci_decode(config, sizeof(config), write_line, f), 0);
	fclose(f);
	assert_string_equal(text, golden_port_text);
	free(text);
}

/* An endpoint shows no slot and no root, and AER without those of a root. */
static int no_port(void *arg, const struct vfio_pci_value *v)
{
	const char *name = v->field ? v->field->reg_name : "";

	return !strncmp(name, "Slt", 3) || !strncmp(name, "Root", 4);
}

static void an_endpoint_is_no_port(void **state)
{
	uint8_t config[4096];

	golden_port(config);
	config[0x42] = 0x02;
	assert_int_equal(vfio_pci_decode(config, sizeof(config), no_port, NULL), 0);
	config[0x42] = 0x42;
	assert_int_equal(vfio_pci_decode(config, sizeof(config), no_port, NULL), 1);
}

/* Capabilities whose fields reach past the bytes: only what can be read is told. */
static int check_inside(void *arg, const struct vfio_pci_value *v)
{
	size_t len = *(size_t *)arg;

	return v->offset + (v->field ? v->field->width : 1u) <= len ? 0 : 1;
}

static void decoder_stays_inside(void **state)
{
	uint8_t config[4096];

	srand(2);
	for (int round = 0; round < 3000; round++) {
		size_t len = 64 + rand() % (round % 2 ? 193 : sizeof(config) - 63);
		uint8_t *copy;

		for (size_t i = 0; i < sizeof(config); i++)
			config[i] = rand() % 3 ? rand() : 0x10;
		config[0x0e] = rand() % 2;
		copy = malloc(len);
		memcpy(copy, config, len);
		assert_int_equal(vfio_pci_decode(copy, len, check_inside, &len), 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_the_golden_config),
		cmocka_unit_test(the_callback_can_stop_it),
		cmocka_unit_test(decoder_refuses_what_is_no_header),
		cmocka_unit_test(decodes_the_golden_port),
		cmocka_unit_test(an_endpoint_is_no_port),
		cmocka_unit_test(decoder_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

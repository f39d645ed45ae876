/* SPDX-License-Identifier: MIT */
#include "wire/wire.h"

static const struct {
	const char *name;
	uint32_t least;
	bool takes_fds;
} commands[WIRE_COMMANDS] = {
	[WIRE_VERSION] =            { "VERSION", sizeof(struct wire_version), false },
	[WIRE_DMA_MAP] =            { "DMA_MAP", sizeof(struct wire_dma_map), true },
	[WIRE_DMA_UNMAP] =          { "DMA_UNMAP", sizeof(struct wire_dma_unmap), true },
	[WIRE_GET_INFO] =           { "GET_INFO", sizeof(struct wire_device_info), false },
	[WIRE_GET_REGION_INFO] =    { "GET_REGION_INFO", sizeof(struct wire_region_info), false },
	[WIRE_GET_REGION_IO_FDS] =  { "GET_REGION_IO_FDS", sizeof(struct wire_io_fds), false },
	[WIRE_GET_IRQ_INFO] =       { "GET_IRQ_INFO", sizeof(struct wire_irq_info), false },
	[WIRE_SET_IRQS] =           { "SET_IRQS", sizeof(struct wire_irq_set), true },
	[WIRE_REGION_READ] =        { "REGION_READ", sizeof(struct wire_access), false },
	[WIRE_REGION_WRITE] =       { "REGION_WRITE", sizeof(struct wire_access), false },
	[WIRE_DMA_READ] =           { "DMA_READ", sizeof(struct wire_dma), false },
	[WIRE_DMA_WRITE] =          { "DMA_WRITE", sizeof(struct wire_dma), false },
	[WIRE_RESET] =              { "DEVICE_RESET", 0, false },
	[WIRE_DIRTY_PAGES] =        { "DIRTY_PAGES", 0, false },
	[WIRE_REGION_WRITE_MULTI] = { "REGION_WRITE_MULTI", 8, false },
	[WIRE_DEVICE_FEATURE] =     { "DEVICE_FEATURE", sizeof(struct wire_feature), true },
	[WIRE_MIG_DATA_READ] =      { "MIG_DATA_READ", 8, false },
	[WIRE_MIG_DATA_WRITE] =     { "MIG_DATA_WRITE", 8, false },
};

const char *wire_command_name(uint16_t command)
{
	return command < WIRE_COMMANDS ? commands[command].name : NULL;
}

uint32_t wire_least_payload(uint16_t command)
{
	return command < WIRE_COMMANDS ? commands[command].least : 0;
}

bool wire_takes_fds(uint16_t command)
{
	return command < WIRE_COMMANDS && commands[command].takes_fds;
}

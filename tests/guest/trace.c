/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG	  7
#define CLOSED_FD 1000 /* a number that nothing was ever opened at */
#define PAYLOAD	  4096

static uint64_t read_region(struct session *s, char kind, unsigned region, uint64_t offset,
			    unsigned width)
{
	uint64_t value = 0;
	ssize_t got = s->road->read(s, &value, width, (uint64_t)region << 40 | offset);

	if (kind == 'B')
		printf("B %u %04llx %u = ", region, (unsigned long long)offset, width);
	else
		printf("R %04llx %u = ", (unsigned long long)offset, width);
	if (got < 0)
		printf("%d\n", -errno);
	else if (got < (ssize_t)width)
		printf("%0*llx short %zd\n", (int)(got * 2), (unsigned long long)value, got);
	else
		printf("%0*llx\n", (int)(got * 2), (unsigned long long)value);
	return value;
}

uint64_t rd(struct session *s, uint64_t offset, unsigned width)
{
	return read_region(s, 'R', CONFIG, offset, width);
}

void bar_read(struct session *s, unsigned region, uint64_t offset, unsigned width)
{
	read_region(s, 'B', region, offset, width);
}

void wr(struct session *s, uint64_t offset, unsigned width, uint64_t value)
{
	ssize_t put = s->road->write(s, &value, width, (uint64_t)CONFIG << 40 | offset);

	if (width < 8)
		value &= ((uint64_t)1 << width * 8) - 1;
	printf("W %04llx %u %0*llx = %zd\n", (unsigned long long)offset, width, (int)width * 2,
	       (unsigned long long)value, put < 0 ? -errno : put);
}

void bar_write(struct session *s, unsigned region, uint64_t offset, unsigned width, uint64_t value)
{
	ssize_t put = s->road->write(s, &value, width, (uint64_t)region << 40 | offset);

	printf("P %u %04llx %u %llx = %zd\n", region, (unsigned long long)offset, width,
	       (unsigned long long)value, put < 0 ? -errno : put);
}

void hw(struct session *s, unsigned offset, unsigned width)
{
	uint64_t value = 0;

	if (pread(s->sysfs, &value, width, offset) == (ssize_t)width)
		printf("# hw %04x %u = %0*llx\n", offset, width, (int)width * 2,
		       (unsigned long long)value);
}

void device_info(struct session *s)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};

	if (s->road->ioctl(s, VFIO_DEVICE_GET_INFO, &info))
		printf("I = %d\n", -errno);
	else
		printf("I = %x %u %u\n", info.flags, info.num_regions, info.num_irqs);
}

void region_info(struct session *s, unsigned index)
{
	struct vfio_region_info info = {.argsz = sizeof(info), .index = index};

	if (s->road->ioctl(s, VFIO_DEVICE_GET_REGION_INFO, &info))
		printf("G %u = %d\n", index, -errno);
	else
		printf("G %u = %llu %x\n", index, (unsigned long long)info.size, info.flags);
}

void irq_info(struct session *s, unsigned index)
{
	struct vfio_irq_info info = {.argsz = sizeof(info), .index = index};

	if (s->road->ioctl(s, VFIO_DEVICE_GET_IRQ_INFO, &info)) {
		printf("Q %u = %d\n", index, -errno);
		return;
	}
	printf("Q %u = %u %x\n", index, info.count, info.flags);
	if (index < INDEXES)
		s->vectors[index] = info.count;
}

void device_reset(struct session *s)
{
	int result = s->road->ioctl(s, VFIO_DEVICE_RESET, NULL);

	printf("X = %d\n", result < 0 ? -errno : result);
	fflush(stdout);
}

static int descriptor(struct session *s, int name)
{
	if (name >= 0)
		return s->events[name % EVENTS];
	if (name == FD_BAD)
		return CLOSED_FD;
	return name == FD_FILE ? s->file : name;
}

static void print_descriptor(int name)
{
	if (name >= 0)
		printf(" e%d", name % EVENTS);
	else if (name == FD_BAD || name == FD_FILE)
		printf(name == FD_BAD ? " bad" : " file");
	else
		printf(" %d", name);
}

/* How many items of data go along: two where the count is absurd. */
static uint32_t items(const struct irq_set *set)
{
	if (!(set->flags & (DATA_BOOL | DATA_EVENTFD)))
		return 0;
	if (set->used)
		return (uint32_t)set->used;
	return set->count < PAYLOAD ? set->count : 2;
}

static int item(const struct irq_set *set, uint32_t i)
{
	if (set->used)
		return set->data[i];
	return set->flags & DATA_BOOL ? !(i & 1) : (int)(i % EVENTS);
}

int set_irqs(struct session *s, const struct irq_set *set)
{
	static char buffer[sizeof(struct vfio_irq_set) + 4 * PAYLOAD];
	struct vfio_irq_set *raw = (struct vfio_irq_set *)buffer;
	bool fds = set->flags & DATA_EVENTFD;
	uint32_t used = items(set);
	uint32_t argsz = set->argsz ? set->argsz : (uint32_t)sizeof(*raw) + used * (fds ? 4 : 1);

	raw->argsz = argsz;
	raw->flags = set->flags;
	raw->index = set->index;
	raw->start = set->start;
	raw->count = set->count;
	printf("S %u %02x %u %u %u", set->index, set->flags, set->start, set->count, argsz);
	for (uint32_t i = 0; i < used; i++) {
		int value = item(set, i);
		int fd = descriptor(s, value);
		if (fds) {
			memcpy(raw->data + i * 4, &fd, 4);
			print_descriptor(value);
		} else {
			raw->data[i] = (uint8_t)value;
			printf(" %d", value);
		}
	}
	int result = s->road->ioctl(s, VFIO_DEVICE_SET_IRQS, raw);
	result = result < 0 ? -errno : result;
	printf(" = %d\n", result);
	return result;
}

static uint64_t take(struct session *s, unsigned number)
{
	uint64_t count;

	return read(s->events[number], &count, sizeof(count)) == sizeof(count) ? count : 0;
}

uint64_t event_read(struct session *s, unsigned number)
{
	uint64_t count = take(s, number);

	printf("E e%u = %llu\n", number, (unsigned long long)count);
	return count;
}

void event_write(struct session *s, unsigned number)
{
	uint64_t one = 1;

	printf("T e%u = %zd\n", number, write(s->events[number], &one, sizeof(one)));
	s->road->wait(s);
}

void events_read(struct session *s, unsigned always)
{
	for (unsigned i = 0; i < EVENTS; i++) {
		uint64_t count = take(s, i);
		if (count || i < always)
			printf("E e%u = %llu\n", i, (unsigned long long)count);
	}
}

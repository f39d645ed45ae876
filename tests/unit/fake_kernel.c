/* SPDX-License-Identifier: MIT */
#include "fake_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/iommufd.h"
#include "backends/kernel.h"

#define N       (sizeof(fake.devices) / sizeof(fake.devices[0]))
#define OBJECTS 32
#define TABLES  4
#define CONFIG  4096u		/* bytes; every region of a device lies there */

enum kind { NOTHING, CONTAINER, GROUP, IOMMUFD, DEVICE };

/* What an open file is: the file itself is memory, told from others by its inode. */
struct object {
	enum kind kind;
	ino_t inode;
	int64_t number;			/* GROUP */
	struct object *in;		/* GROUP: the container; DEVICE: the group, or the iommufd */
	struct fake_device *device;	/* DEVICE */
	uint32_t table;			/* DEVICE: the IOAS it is attached to */
	bool is_set;			/* CONTAINER: it has an IOMMU */
	struct fake_table tables[TABLES];
	uint32_t last_id;
	uint32_t dirty, dirty_of;	/* IOMMUFD: a table that tells, 0: none; and its IOAS */
	bool is_on_dirty;		/* DEVICE: it is attached to that */
};

struct fake fake;
char fake_token[37];
static char sys[80], dev[80], proc[80];
static struct object objects[OBJECTS];

extern const struct kernel_roots __wrap_kernel_roots;
const struct kernel_roots __wrap_kernel_roots = { sys, dev, proc };

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* ---- objects -------------------------------------------------------------------------------- */

static struct object *object_of(int fd)
{
	struct stat st;

	if (fd < 0 || __real_fstat(fd, &st) < 0)
		return NULL;
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind && objects[i].inode == st.st_ino)
			return &objects[i];
	return NULL;
}

static unsigned int count(enum kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < OBJECTS; i++)
		n += objects[i].kind == kind;
	return n;
}

static int make(enum kind kind, struct object **made)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);
	unsigned int i = 0;
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(__real_fstat(fd, &st), 0);
	while (objects[i].kind)
		assert_true(++i < OBJECTS);
	objects[i] = (struct object){ .kind = kind, .inode = st.st_ino };
	*made = &objects[i];
	fake.containers = count(CONTAINER);
	fake.iommufds = count(IOMMUFD);
	fake.groups = count(GROUP);
	return fd;
}

static int make_device(struct fake_device *d, struct object *in)
{
	/* One capability: power management, which resets nothing. */
	static const uint8_t config[CONFIG] = {
		0x34, 0x12, 0x78, 0x56, [0x06] = 0x10, [0x34] = 0x40, [0x40] = 0x01, [0x42] = 0x03,
		[0x44] = 0x08,
	};
	struct object *o;
	int fd = make(DEVICE, &o);

	assert_int_equal(pwrite(fd, config, sizeof(config), 0), sizeof(config));
	o->device = d;
	o->in = in;
	d->uses++;
	return fd;
}

/* Pages are pinned once for all tables of an iommufd. */
static bool is_first(const struct object *o, const struct fake_map *map)
{
	for (unsigned int i = 0; i < TABLES * FAKE_MAPS; i++) {
		const struct fake_map *m = &o->tables[i / FAKE_MAPS].maps[i % FAKE_MAPS];

		if (m->size && m->vaddr == map->vaddr)
			return m == map;
	}
	return false;
}

static void count_pinned(void)
{
	fake.pinned = 0;
	for (unsigned int n = 0; n < OBJECTS; n++)
		for (unsigned int i = 0; objects[n].kind && i < TABLES * FAKE_MAPS; i++) {
			struct fake_map *m = &objects[n].tables[i / FAKE_MAPS].maps[i % FAKE_MAPS];

			if (m->size && is_first(&objects[n], m))
				fake.pinned += m->size;
		}
}

static void drop_maps(struct fake_table *t)
{
	memset(t, 0, sizeof(*t));
	count_pinned();
}

static bool is_in_use(const struct object *o)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind && objects[i].in == o)
			return true;
	return false;
}

static void leave_container(struct object *container)
{
	if (is_in_use(container))
		return;
	drop_maps(&container->tables[0]);
	container->is_set = false;
}

/* Its last descriptor is closed. */
static void end(struct object *o)
{
	struct object *in = o->in;

	if (o->kind == GROUP && is_in_use(o))
		fail_msg("group %lld is closed before its devices", (long long)o->number);
	if (o->kind == DEVICE)
		o->device->uses--;
	if (o->kind == IOMMUFD && o->dirty)
		fake.tables--;
	for (unsigned int i = 0; i < TABLES; i++) {
		fake.ioases -= o->tables[i].id != 0;
		drop_maps(&o->tables[i]);
	}
	o->kind = NOTHING;
	o->in = NULL;
	if (in && in->kind == CONTAINER)
		leave_container(in);
	fake.containers = count(CONTAINER);
	fake.iommufds = count(IOMMUFD);
	fake.groups = count(GROUP);
}

int __wrap_close(int fd)
{
	struct object *o = object_of(fd);
	int r = __real_close(fd);
	bool is_open = false;

	for (int other = 0; o && other < 256; other++)
		is_open = is_open || object_of(other) == o;
	if (o && !is_open)
		end(o);
	return r;
}

/* Their numbers, as the tree has them below sys/dev/char. */
#define MAJOR        240u
#define MINOR_ROOT   1u
#define MINOR_IOMMU  2u
#define MINOR_DEVICE 10u
#define MINOR_GROUP  100u

static unsigned int minor_of(const struct object *o)
{
	switch (o->kind) {
	case CONTAINER:
		return MINOR_ROOT;
	case IOMMUFD:
		return MINOR_IOMMU;
	case GROUP:
		return MINOR_GROUP + (unsigned int)o->number;
	default:
		return MINOR_DEVICE + (unsigned int)(o->device - fake.devices);
	}
}

int __wrap_fstat(int fd, struct stat *st)
{
	const struct object *o = object_of(fd);
	int r = __real_fstat(fd, st);

	if (r == 0 && o) {
		st->st_mode = S_IFCHR | 0600;
		st->st_rdev = makedev(MAJOR, minor_of(o));
	}
	return r;
}

int __wrap_fstat64(int fd, struct stat *st)
{
	return __wrap_fstat(fd, st);
}

static int open_node(const char *name)
{
	struct object *o;
	char *end;

	if (strcmp(name, "iommu") == 0)
		return make(IOMMUFD, &o);
	if (strcmp(name, "vfio/vfio") == 0)
		return make(CONTAINER, &o);
	for (unsigned int i = 0; i < N && fake.devices[i].bdf; i++)
		if (strncmp(name, "vfio/devices/", 13) == 0 &&
		    strcmp(name + 13, fake.devices[i].node) == 0)
			return make_device(&fake.devices[i], NULL);
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == GROUP && objects[i].number == atoll(name + 5)) {
			errno = EBUSY;		/* one user at a time */
			return -1;
		}
	int fd = make(GROUP, &o);

	o->number = strtoll(name + 5, &end, 10);
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	size_t len = strlen(dev);
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
	va_end(more);
	if (!*dev || strncmp(path, dev, len) || path[len] != '/' || access(path, R_OK) < 0)
		return __real_open(path, flags, mode);
	return open_node(path + len + 1);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
	va_end(more);
	return __wrap_open(path, flags, mode);
}

/* ---- tables --------------------------------------------------------------------------------- */

static struct fake_table *table_of(struct object *o, uint32_t id)
{
	for (unsigned int i = 0; i < TABLES; i++)
		if (o->tables[i].id == id)
			return &o->tables[i];
	return NULL;
}

static struct fake_map *map_at(struct fake_table *t, uint64_t iova)
{
	for (unsigned int i = 0; i < FAKE_MAPS; i++)
		if (iova - t->maps[i].iova < t->maps[i].size)
			return &t->maps[i];
	return NULL;
}

static int map(struct fake_table *t, uint64_t iova, uint64_t size, uint64_t vaddr)
{
	unsigned int i = 0;

	if (map_at(t, iova) || map_at(t, iova + size - 1))
		return -EEXIST;
	while (t->maps[i].size)
		assert_true(++i < FAKE_MAPS);
	t->maps[i] = (struct fake_map){ iova, size, vaddr };
	count_pinned();
	return 0;
}

static int new_map(struct fake_table *t, uint64_t iova, uint64_t size, uint64_t vaddr)
{
	int r = map(t, iova, size, vaddr);

	fake.maps += r == 0;
	return r;
}

static bool is_cut(const struct fake_map *m, uint64_t iova, uint64_t size)
{
	uint64_t last = iova + (size - 1), end = m->iova + (m->size - 1);

	return m->size && m->iova <= last && end >= iova && (m->iova < iova || end > last);
}

static int unmap(struct fake_table *t, uint64_t iova, uint64_t size, int none)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < FAKE_MAPS; i++)
		if (is_cut(&t->maps[i], iova, size))
			return -EINVAL;
	for (unsigned int i = 0; i < FAKE_MAPS; i++) {
		struct fake_map *m = &t->maps[i];

		if (!m->size || m->iova < iova || m->iova - iova >= size)
			continue;
		m->size = 0;
		n++;
	}
	count_pinned();
	fake.unmaps += n;
	return n || size == UINT64_MAX ? 0 : none;
}

uint64_t fake_sees(const struct fake_device *d, uint64_t iova)
{
	for (unsigned int i = 0; i < OBJECTS; i++) {
		struct object *o = &objects[i], *memory = o->in;
		const struct fake_map *m;

		if (o->kind != DEVICE || o->device != d)
			continue;
		if (memory->kind == GROUP)
			memory = memory->in;
		m = map_at(table_of(memory, o->table), iova);
		return m ? m->vaddr : 0;
	}
	return 0;
}

/* ---- what is asked of containers and iommufds ----------------------------------------------- */

static int on_container(struct object *o, unsigned long request, void *arg)
{
	struct vfio_iommu_type1_dma_map *m = arg;
	struct vfio_iommu_type1_dma_unmap *u = arg;

	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_SET_IOMMU:
		if (o->is_set || !is_in_use(o))
			return -EINVAL;
		o->is_set = true;
		return 0;
	case VFIO_IOMMU_GET_INFO:
		return o->is_set ? 0 : -EINVAL;
	case VFIO_IOMMU_MAP_DMA:
		return o->is_set ? new_map(&o->tables[0], m->iova, m->size, m->vaddr) : -EINVAL;
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap(&o->tables[0], u->iova, u->size, 0);
	}
	return -ENOTTY;
}

static int destroy_dirty(struct object *o)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == DEVICE && objects[i].in == o && objects[i].is_on_dirty)
			return -EBUSY;
	o->dirty = 0;
	fake.tables--;
	return 0;
}

static int destroy(struct object *o, uint32_t id)
{
	struct fake_table *t = table_of(o, id);

	if (id && id == o->dirty)
		return destroy_dirty(o);
	if (o->dirty && o->dirty_of == id)
		return -EBUSY;

	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == DEVICE && objects[i].in == o && objects[i].table == id)
			return -EBUSY;
	if (!id || !t)
		return -ENOENT;
	drop_maps(t);
	fake.ioases--;
	return 0;
}

static int copy(struct object *o, const struct iommufd_copy *q)
{
	struct fake_table *from = table_of(o, q->from), *to = table_of(o, q->to);
	int r;

	if (!from || !to || !map_at(from, q->from_iova))
		return -ENOENT;
	r = map(to, q->to_iova, q->length, map_at(from, q->from_iova)->vaddr);
	fake.copies += r == 0;
	return r;
}

/* What a device is called. */
static struct object *called(uint32_t id)
{
	return id > 1000 && id <= 1000 + OBJECTS ? &objects[id - 1001] : NULL;
}

static int make_dirty(struct object *o, struct iommufd_table *q)
{
	struct object *device = called(q->device);

	if (!device || device->in != o || !table_of(o, q->ioas) || q->reserved)
		return -ENOENT;
	if (q->flags != IOMMUFD_TABLE_DIRTY || !device->device->has_dirty)
		return -EOPNOTSUPP;
	assert_false(o->dirty);
	o->dirty_of = q->ioas;
	q->id = o->dirty = ++o->last_id;
	fake.tables++;
	return 0;
}

static int get_dirty(struct object *o, const struct iommufd_get_dirty *q)
{
	uint64_t *bitmap = (uint64_t *)(uintptr_t)q->bitmap, page;

	if (!o->dirty || q->table != o->dirty || q->flags || q->reserved)
		return -ENOENT;
	if (!q->page || q->iova % q->page || q->length % q->page)
		return -EINVAL;
	if (fake.is_tracking && fake.written - q->iova < q->length) {
		page = (fake.written - q->iova) / q->page;
		bitmap[page / 64] |= 1ull << page % 64;
		fake.written = UINT64_MAX;
	}
	return 0;
}

static int on_dirty(struct object *o, unsigned long request, void *arg)
{
	struct iommufd_set_dirty *set = arg;
	struct iommufd_hw_info *info = arg;

	switch (request) {
	case IOMMUFD_TABLE_ALLOC:
		return make_dirty(o, arg);
	case IOMMUFD_HW_INFO:
		if (!called(info->device) || called(info->device)->in != o)
			return -ENOENT;
		info->capabilities = called(info->device)->device->has_dirty ? IOMMUFD_HW_DIRTY : 0;
		return 0;
	case IOMMUFD_SET_DIRTY:
		if (!o->dirty || set->table != o->dirty || set->flags > 1)
			return -ENOENT;
		fake.is_tracking = set->flags;
		fake.written = UINT64_MAX;
		return 0;
	case IOMMUFD_GET_DIRTY:
		return get_dirty(o, arg);
	}
	return -ENOTTY;
}

static int on_iommufd(struct object *o, unsigned long request, void *arg)
{
	struct iommufd_alloc *a = arg;
	struct iommufd_map *m = arg;
	struct iommufd_unmap *u = arg;
	const struct iommufd_option *option = arg;

	switch (request) {
	case IOMMUFD_OPTION:
		assert_int_equal(option->size, sizeof(*option));
		assert_int_equal(option->option, IOMMUFD_OPTION_RLIMIT);
		assert_int_equal(option->op, IOMMUFD_OPTION_SET);
		fake.by_process += option->value == 1 && !o->last_id;
		return 0;
	case IOMMUFD_DESTROY:
		return destroy(o, ((struct iommufd_destroy *)arg)->id);
	case IOMMUFD_IOAS_ALLOC:
		assert_non_null(table_of(o, 0));
		table_of(o, 0)->id = a->id = ++o->last_id;
		fake.ioases++;
		return 0;
	case IOMMUFD_IOVA_RANGES:
		*(struct iommufd_range *)(uintptr_t)((struct iommufd_ranges *)arg)->ranges =
			(struct iommufd_range){ 0, UINT32_MAX };
		((struct iommufd_ranges *)arg)->count = 1;
		return 0;
	case IOMMUFD_COPY:
		return copy(o, arg);
	case IOMMUFD_MAP:
		assert_non_null(table_of(o, m->ioas));
		return new_map(table_of(o, m->ioas), m->iova, m->length, m->vaddr);
	case IOMMUFD_UNMAP:
		assert_non_null(table_of(o, u->ioas));
		return unmap(table_of(o, u->ioas), u->iova, u->length, -ENOENT);
	}
	return on_dirty(o, request, arg);
}

/* ---- what is asked of groups and devices ---------------------------------------------------- */

static int unset_container(struct object *o)
{
	struct object *in = o->in;

	if (!in || is_in_use(o))
		return in ? -EBUSY : -EINVAL;
	o->in = NULL;
	leave_container(in);
	return 0;
}

static bool is_picky(int64_t group)
{
	for (unsigned int i = 0; i < N; i++)
		if (fake.devices[i].bdf && fake.devices[i].group == group)
			return fake.devices[i].picky;
	return false;
}

static int set_container(struct object *o, int fd)
{
	struct object *container = object_of(fd);

	if (!container || container->kind != CONTAINER || o->in)
		return -EINVAL;
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == GROUP && objects[i].in == container &&
		    is_picky(objects[i].number) != is_picky(o->number))
			return -EINVAL;
	o->in = container;
	return 0;
}

/* NULL: without a token. */
static int check_token(const struct fake_device *d, const char *token)
{
	if (!d->token)
		return token ? -EINVAL : 0;
	return token && strcasecmp(token, d->token) == 0 ? 0 : -EACCES;
}

static int get_device(struct object *o, const char *name)
{
	const char *token = strstr(name, " vf_token=");
	const size_t len = strcspn(name, " ");
	int r;

	if (!o->in || !o->in->is_set)
		return -EINVAL;
	for (unsigned int i = 0; i < N && fake.devices[i].bdf; i++) {
		if (fake.devices[i].group != o->number || strlen(fake.devices[i].bdf) != len ||
		    strncmp(fake.devices[i].bdf, name, len))
			continue;
		r = check_token(&fake.devices[i], token ? token + 10 : NULL);
		return r < 0 ? r : make_device(&fake.devices[i], o);
	}
	return -ENODEV;
}

static int on_group(struct object *o, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE |
			(o->in ? VFIO_GROUP_FLAGS_CONTAINER_SET : 0);
		return 0;
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(o);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(o, *(int *)arg);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device(o, arg);
	}
	return -ENOTTY;
}

static void write_token(const uint8_t uuid[16], char text[37])
{
	for (unsigned int i = 0, at = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[at++] = '-';
		at += (unsigned int)sprintf(text + at, "%02x", uuid[i]);
	}
}

static int bind_device(struct object *o, struct cdev_bind *q)
{
	struct object *iommufd = object_of(q->iommufd);
	char text[37] = "";
	int r;

	if (q->flags && (fake.is_old || q->argsz < sizeof(*q)))
		return -EINVAL;
	if (q->flags && q->token == UINT64_MAX)
		return -EFAULT;
	if (q->flags)
		write_token((const uint8_t *)(uintptr_t)q->token, text);
	r = check_token(o->device, q->flags ? text : NULL);
	if (r < 0)
		return r;
	if (!iommufd || iommufd->kind != IOMMUFD)
		return -EBADFD;
	if (o->in || o->device->uses > 1)
		return -EINVAL;
	o->in = iommufd;
	q->devid = 1001 + (uint32_t)(o - objects);
	return 0;
}

/* All devices of a group are moved at once. */
static void move_group(const struct object *o, uint32_t table, bool is_dirty)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == DEVICE && objects[i].in == o->in &&
		    (&objects[i] == o || (objects[i].table &&
					  objects[i].device->group == o->device->group))) {
			objects[i].table = table;
			objects[i].is_on_dirty = is_dirty;
		}
}

static int attach_device(struct object *o, const struct cdev_attach *q)
{
	const struct object *other = NULL;

	if (q->pt_id && q->pt_id == o->in->dirty) {
		move_group(o, o->in->dirty_of, true);
		return 0;
	}
	for (unsigned int i = 0; i < OBJECTS; i++) {
		if (objects[i].kind != DEVICE || &objects[i] == o || objects[i].in != o->in)
			continue;
		if (!o->table && objects[i].table &&
		    objects[i].device->group == o->device->group &&
		    (objects[i].is_on_dirty || objects[i].table != q->pt_id))
			return -EINVAL;		/* a group is on one table */
		if (objects[i].table == q->pt_id)
			other = &objects[i];
	}
	if (other && other->device->picky != o->device->picky)
		return -EINVAL;
	if (!table_of(o->in, q->pt_id))
		return -ENOENT;
	move_group(o, q->pt_id, false);
	return 0;
}

static int region_info(struct vfio_region_info *q)
{
	q->size = q->index == VFIO_PCI_CONFIG_REGION_INDEX ? CONFIG : 0;
	q->offset = q->flags = q->cap_offset = 0;
	return 0;
}

/* ---- hot reset ------------------------------------------------------------------------------ */

static bool is_owned(const struct object *o, const struct fake_device *d)
{
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind == DEVICE && objects[i].in == o->in &&
		    objects[i].device->group == d->group)
			return true;
	return false;
}

static int hot_reset_info(const struct object *o, struct vfio_pci_hot_reset_info *q)
{
	const bool by_group = o->in->kind == GROUP;
	uint32_t n = 0;

	if (!o->device->slot)
		return -ENODEV;
	for (unsigned int i = 0; i < N && fake.devices[i].bdf; i++) {
		const struct fake_device *d = &fake.devices[i];
		unsigned int bus, slot, func;

		if (d->slot != o->device->slot)
			continue;
		assert_int_equal(sscanf(d->bdf, "0000:%x:%x.%x", &bus, &slot, &func), 3);
		if (q->argsz < sizeof(*q) + (n + 1) * sizeof(q->devices[0]))
			return -ENOSPC;
		q->devices[n++] = (struct vfio_pci_dependent_device){
			.group_id = by_group ? (uint32_t)d->group : is_owned(o, d) ? 0 : UINT32_MAX,
			.bus = bus, .devfn = slot << 3 | func,
		};
	}
	q->count = n;
	q->flags = by_group ? 0 : 1;
	return 0;
}

static int hot_reset(const struct object *o, const struct vfio_pci_hot_reset *q)
{
	for (unsigned int i = 0; i < N && fake.devices[i].bdf; i++) {
		const struct fake_device *d = &fake.devices[i];
		bool is_shown = false;

		if (d->slot != o->device->slot)
			continue;
		for (uint32_t g = 0; g < q->count; g++)
			is_shown = is_shown || object_of(q->group_fds[g])->number == d->group;
		if (d->driver || !(o->in->kind == GROUP ? is_shown : is_owned(o, d)))
			return -EINVAL;
	}
	if ((o->in->kind == GROUP) != (q->count > 0) || q->count > 2)
		return -EINVAL;
	fake.hot_resets++;
	return 0;
}

/* ---- features ------------------------------------------------------------------------------- */

static int set_feature(struct object *o, const struct vfio_device_feature *q)
{
	if (fake.is_old || !(q->flags & VFIO_DEVICE_FEATURE_SET))
		return -ENOTTY;
	switch (q->flags & VFIO_DEVICE_FEATURE_MASK) {
	case KERNEL_VF_TOKEN:
		if (!o->device->is_physical)
			return -ENOTTY;
		write_token(q->data, fake_token);
		o->device[1].token = fake_token;
		return 0;
	case KERNEL_LOW_POWER:
	case KERNEL_LOW_POWER_WAKEUP:
		if (o->device->in_low_power)
			return -EINVAL;
		o->device->in_low_power = true;
		o->device->wakeup_fd = -1;
		if (q->argsz > sizeof(*q))
			memcpy(&o->device->wakeup_fd, q->data, sizeof(int));
		return 0;
	case KERNEL_LOW_POWER_EXIT:
		o->device->in_low_power = false;
		return 0;
	}
	return -ENOTTY;
}

static int on_device(struct object *o, unsigned long request, void *arg)
{
	struct vfio_device_info *info = arg;

	if (request == CDEV_BIND_IOMMUFD)
		return bind_device(o, arg);
	if (!o->in)
		return -EINVAL;
	switch (request) {
	case CDEV_ATTACH:
		return attach_device(o, arg);
	case CDEV_DETACH:
		o->table = 0;
		o->is_on_dirty = false;
		return 0;
	case VFIO_DEVICE_GET_INFO:
		info->flags = VFIO_DEVICE_FLAGS_PCI |
			      (fake.cannot_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		info->num_regions = VFIO_PCI_NUM_REGIONS;
		info->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return region_info(arg);
	case VFIO_DEVICE_FEATURE:
		return set_feature(o, arg);
	case VFIO_DEVICE_RESET:
		return 0;		/* low power outlasts it */
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(o, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(o, arg);
	}
	return -ENOTTY;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	static int (*const on[])(struct object *o, unsigned long request, void *arg) = {
		[CONTAINER] = on_container, [GROUP] = on_group, [IOMMUFD] = on_iommufd,
		[DEVICE] = on_device,
	};
	struct object *o = object_of(fd);
	va_list more;
	void *arg;
	int r;

	va_start(more, request);
	arg = va_arg(more, void *);
	va_end(more);
	if (!o)
		return __real_ioctl(fd, request, arg);
	if (request == fake.fail) {
		if (!fake.more--)
			fake.fail = fake.more = 0;
		errno = fake.with;
		return -1;
	}
	r = on[o->kind](o, request, arg);
	errno = r < 0 ? -r : errno;
	return r < 0 ? -1 : r;
}

/* ---- the tree ------------------------------------------------------------------------------- */

static void folder(const char *root, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void folder(const char *root, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	size_t len = snprintf(path, sizeof(path), "%s/", root);

	va_start(args, format);
	vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	for (char *slash = path + strlen(fake.at) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

static void link_to(const char *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void link_to(const char *to, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	assert_true(symlink(to, path) == 0 || errno == EEXIST);
}

static void node(const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dev, name);
	fd = __real_open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	__real_close(fd);
}

/* What the kernel says of a node's number. */
static void number(unsigned int minor, const char *kind, const char *name)
{
	char to[PATH_MAX];

	folder(sys, "nodes/%s/%s", kind, name);
	snprintf(to, sizeof(to), "../../../class/%s", kind);
	link_to(to, "%s/nodes/%s/%s/subsystem", sys, kind, name);
	folder(sys, "dev/char");
	snprintf(to, sizeof(to), "../../nodes/%s/%s", kind, name);
	link_to(to, "%s/dev/char/%u:%u", sys, MAJOR, minor);
}

static void add(const struct fake_device *d)
{
	char to[PATH_MAX];

	folder(sys, "bus/pci/devices/%s", d->bdf);
	snprintf(to, sizeof(to), "../../../drivers/%s", d->driver ? d->driver : "vfio-pci");
	link_to(to, "%s/bus/pci/devices/%s/driver", sys, d->bdf);
	snprintf(to, sizeof(to), "../../../kernel/iommu_groups/%lld", (long long)d->group);
	link_to(to, "%s/bus/pci/devices/%s/iommu_group", sys, d->bdf);
	folder(sys, "kernel/iommu_groups/%lld/devices/%s", (long long)d->group, d->bdf);
	snprintf(to, sizeof(to), "vfio/%lld", (long long)d->group);
	node(to);
	number(MINOR_GROUP + (unsigned int)d->group, "vfio", to + strlen("vfio/"));
	if (!fake.has_nodes || d->driver)
		return;
	number(MINOR_DEVICE + (unsigned int)(d - fake.devices), "vfio-dev", d->node);
	folder(sys, "bus/pci/devices/%s/vfio-dev/%s", d->bdf, d->node);
	folder(sys, "class/vfio-dev/%s", d->node);
	snprintf(to, sizeof(to), "../../../devices/%s", d->bdf);
	link_to(to, "%s/class/vfio-dev/%s/device", sys, d->node);
	snprintf(to, sizeof(to), "vfio/devices/%s", d->node);
	node(to);
}

void fake_begin(void)
{
	strcpy(fake.at, "/tmp/vfio-unit-XXXXXX");
	assert_non_null(mkdtemp(fake.at));
	snprintf(sys, sizeof(sys), "%s/sys", fake.at);
	snprintf(dev, sizeof(dev), "%s/dev", fake.at);
	snprintf(proc, sizeof(proc), "%s/proc", fake.at);
	folder(dev, "vfio/devices");
	folder(proc, "self");
	node("vfio/vfio");
	number(MINOR_ROOT, "misc", "vfio");
	number(MINOR_IOMMU, "misc", "iommu");
	if (fake.has_nodes)
		node("iommu");
	for (unsigned int i = 0; i < N && fake.devices[i].bdf; i++)
		add(&fake.devices[i]);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void fake_shut(void)
{
	nftw(sys, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_end(void)
{
	nftw(fake.at, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	*dev = '\0';
	for (unsigned int i = 0; i < OBJECTS; i++)
		if (objects[i].kind)
			fail_msg("an object of kind %d is still open", objects[i].kind);
	if (fake.pinned)
		fail_msg("%llu bytes are still pinned", (unsigned long long)fake.pinned);
	memset(&fake, 0, sizeof(fake));
}

int fake_node(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dev, name);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* SPDX-License-Identifier: MIT */
/* Everything that one file of lsvfio offers to another. */
#ifndef LSVFIO_LSVFIO_H
#define LSVFIO_LSVFIO_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "model.h"

struct json_object;
struct libscols_line;
struct libscols_table;

enum exit_code {
	EXIT_ALL = 0,
	EXIT_NONE = 1,
	EXIT_USAGE = 2,
	EXIT_WARNED = 3,	/* --check, --audit: warnings, but no failure */
	EXIT_SOME = 64,		/* some of the named devices were found and some were not */
};

/* ---- memory.c: allocation that ends the program when there is no memory ------------------ */

void *memory_check(void *p);
void *memory_zeroed(size_t n, size_t size);
char *memory_copy(const char *s);
char *memory_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- text.c ------------------------------------------------------------------------------ */

/* A copy of len bytes; what is not printable UTF-8 becomes a backslash and three octal digits. */
char *text_clean(const char *s, size_t len);
/* "4K", "1M", "100": exact, never rounded. */
char *text_size(uint64_t bytes);

/* ---- device.c ---------------------------------------------------------------------------- */

struct device *device_new(enum kind kind, char *name, char *string);
void device_free(struct device *d);
void device_list_free(struct device_list *list);
void device_problem(struct device *d, char *what);
struct description *device_describe(struct device *d);
void description_free(struct description *d);
struct region *description_region(struct description *d, uint32_t index);
struct irq *description_irq(struct description *d, uint32_t index);
const char *kind_name(enum kind kind);

/* ---- flags.c ----------------------------------------------------------------------------- */

struct flag {
	uint32_t bit;
	const char *name;
};

/* Tables end with a NULL name. */
extern const struct flag device_flags[], region_flags[], irq_flags[], reset_methods[];
extern const struct flag dma_directions[], dma_ways[];

uint32_t flag_bit(const struct flag *table, const char *name);
char *flag_names(const struct flag *table, uint32_t flags);

/* ---- config.c ---------------------------------------------------------------------------- */

/* Fill values, problems and, unless it is known, the identity from the configuration space. */
void config_explain(struct device *d);
uint16_t config_word(const uint8_t *config, size_t offset);

/* Print what was read of it in the format of lspci -x; those without a PCI address are numbered. */
void config_dump(const struct device_list *list);

/* ---- ids.c: libpci ----------------------------------------------------------------------- */

struct ids;

struct ids *ids_open(void);
void ids_close(struct ids *ids);
/* Narrow the selection; returns NULL, or what is wrong with text. */
const char *ids_select_slot(struct ids *ids, const char *text);
const char *ids_select_id(struct ids *ids, const char *text);
bool ids_selects_id(const struct ids *ids);
bool ids_match(struct ids *ids, const struct device *d);
/* Fill in the names of vendor, device and class. */
void ids_name(struct ids *ids, struct identity *id);

/* ---- sysfs.c: files that may lie --------------------------------------------------------- */

/* Read at most size bytes of a regular file; *whole, if not NULL, gets the size that it claims. */
ssize_t sysfs_read(int dir, const char *name, void *buf, size_t size, uint64_t *whole);
/* The one hexadecimal number in a file; false when it is missing, malformed or above max. */
bool sysfs_number(int dir, const char *name, uint32_t max, uint32_t *value);
/* Write a text, or an empty line, to a file in one piece. 0, or a negative errno. */
int sysfs_write(int dir, const char *name, const char *text);
/* The last component of what a link points to, or NULL. */
char *sysfs_link(int dir, const char *name);

/* ---- pci.c: the machine's PCI devices ---------------------------------------------------- */

bool pci_parse_address(const char *text, struct pci_address *address);
/* Add the devices that ids selects. 0, or a negative errno of the directory. */
int pci_list(struct device_list *list, const char *root, struct ids *ids);
/* One device in full. 0, or a negative errno when it is not there. */
int pci_show(struct device_list *list, const char *root, const struct pci_address *address);

/* ---- opened.c ---------------------------------------------------------------------------- */

/*
 * Open a device by its string, look at it, close it; map: and ask how each bit of configuration
 * space behaves. On failure *err says why.
 */
int opened_show(struct device_list *list, const char *string, bool map, struct vfio_error *err);
/* What the library's observer knows of a PCI device of this machine, and sysfs does not say: resets. */
void opened_observe(struct device *d);

/* ---- dump.c: configuration space in a file -------------------------------------------------- */

/* Add each device of a file: raw bytes, or what lspci -x prints. False after a complaint. */
bool dump_show(struct device_list *list, const char *path);

/* ---- runtime.c: where control sockets are ------------------------------------------------- */

struct paths {
	size_t n;
	char **path;
};

void paths_add(struct paths *paths, const char *path);
void paths_free(struct paths *paths);
/* Every control socket in the directories of docs/control.md. */
void runtime_scan(struct paths *paths);

/* ---- control.c: one conversation with a vfiod -------------------------------------------- */

struct control;

/* Connect. NULL with *why allocated and *error a positive errno. */
struct control *control_open(const char *path, int *error, char **why);
void control_close(struct control *c);
/* Give the requests that follow two seconds together. */
void control_allow_time(struct control *c);
/*
 * Ask, and store the reply's parameters. 0, or a negative errno and *why: -ENODEV when vfiod
 * knows no such device, -EAGAIN for NotReady; after -EREMOTEIO it refused for another reason,
 * after anything else the conversation is over.
 */
int control_list(struct control *c, struct json_object **parameters, char **why);
/* map: and how each bit of configuration space behaves, which an older vfiod does not tell. */
int control_describe(struct control *c, const char *device, bool map,
		     struct json_object **parameters, char **why);
/* The vfiod's process; 0 where it has no number here. */
uint32_t control_process(const struct control *c);

/* ---- member.c: members of JSON objects that a stranger wrote ----------------------------- */

/* The first complaint stays; every function returns false once there is one. */
struct reader {
	char where[64];		/* what is being read: "regions[3]" */
	char why[200];
};

void reader_at(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool reader_refuse(struct reader *r, const char *key, const char *expected);
/* For members that an older vfiod does not know. */
bool member_is_there(struct json_object *in, const char *key);
bool member_string(struct reader *r, struct json_object *in, const char *key, char **value);
bool member_string_or_null(struct reader *r, struct json_object *in, const char *key,
			   char **value);
bool member_number(struct reader *r, struct json_object *in, const char *key, uint64_t max,
		   uint64_t *value);
bool member_number32(struct reader *r, struct json_object *in, const char *key,
		     uint32_t *value);
bool member_list(struct reader *r, struct json_object *in, const char *key, size_t max,
		 struct json_object **list);
bool member_object(struct reader *r, struct json_object *in, const char *key,
		   struct json_object **object);
bool member_object_or_null(struct reader *r, struct json_object *in, const char *key,
			   struct json_object **object);
bool member_flags(struct reader *r, struct json_object *in, const char *key,
		  const struct flag *table, uint32_t *flags);

/* ---- reply.c: vfiod's replies become devices --------------------------------------------- */

bool reply_device(struct reader *r, struct json_object *in, struct served *served);
bool reply_tainted(struct reader *r, struct json_object *in, struct tainted *tainted);
bool reply_description(struct reader *r, struct json_object *in, struct description *d);

/* A string of 0x and up to 16 hexadecimal digits. */
bool reply_address(struct reader *r, struct json_object *in, const char *key, uint64_t *address);

/* ---- reply_dma.c ------------------------------------------------------------------------- */

/* The client's memory in a description, where an older vfiod has none. */
bool reply_dma(struct reader *r, struct json_object *in, struct dma *dma);

/* ---- reply_map.c ------------------------------------------------------------------------- */

/* The map of configuration space that may come with a description. */
bool reply_map(struct reader *r, struct json_object *in, struct description *d);

/* ---- vfiod.c ----------------------------------------------------------------------------- */

/* Which sockets to ask, and whether somebody named them: then a dead one is an error. */
struct vfiods {
	struct paths paths;
	bool named;
};

enum detail {
	AS_LISTED,		/* what vfiod's list says */
	IDENTIFIED,		/* and what the device is */
	DESCRIBED,		/* and all that its description says */
};

/* Add every vfiod's devices in this detail. False if a named socket failed. */
bool vfiod_list(struct device_list *list, const struct vfiods *vfiods, enum detail detail,
		struct ids *ids);
/*
 * Add each device of that name, described; map: and with its map of configuration space. Returns
 * how many, or -1 after a complaint.
 */
int vfiod_show(struct device_list *list, const struct vfiods *vfiods, const char *name, bool map);

/* ---- lookup.c ---------------------------------------------------------------------------- */

/* Where devices come from. */
struct sources {
	bool vfiod, pci;
	bool map;		/* devices are asked for their maps of configuration space */
	struct vfiods vfiods;
	const char *sysfs;
	bool sysfs_named;	/* then it must be there */
};

/* Add the devices (several vfiods may use a name) that name means. False after a complaint. */
bool lookup_device(struct device_list *list, const struct sources *sources, const char *name);

/* ---- columns.c --------------------------------------------------------------------------- */

struct column {
	const char *name;
	double width;		/* a hint to libsmartcols */
	int flags;		/* SCOLS_FL_… */
	const char *type;	/* in JSON: "string", "number", "object"; or null */
	bool described;		/* of vfiod's devices known only from their description */
	struct json_object *(*value)(const struct device *d);
	const char *help;
};

#define MAX_COLUMNS 64

struct columns {
	size_t n;
	const struct column *column[MAX_COLUMNS];
};

/* Parse LIST or +LIST (NULL: the default columns). NULL, or what is wrong, allocated. */
char *columns_parse(struct columns *columns, const char *list);
bool columns_described(const struct columns *columns);
/* The key in JSON: the name in lower case. */
char *column_key(const struct column *column);
/* The value as text, or NULL. */
char *column_text(const struct column *column, const struct device *d);
void columns_print(bool raw, bool noheadings);

/* ---- table.c: libsmartcols --------------------------------------------------------------- */

struct look {
	bool colour, raw, noheadings;
};

struct libscols_table *table_new(const struct look *look);
void table_column(struct libscols_table *table, const char *name, double width, int flags);
struct libscols_line *table_line(struct libscols_table *table);
/* Put an allocated text, or NULL, into a cell. */
void table_put(struct libscols_line *line, size_t column, char *text);
void table_paint(struct libscols_line *line, size_t column, const char *colour);
/* Print, and free. */
void table_end(struct libscols_table *table);

/* ---- findings.c: --check and --audit -------------------------------------------------------- */

/* What is done instead of printing devices. */
struct action {
	enum { ACTION_NONE, ACTION_CHECK, ACTION_AUDIT, ACTION_BIND, ACTION_UNBIND } what;
	const char *option;		/* that said so */
	const char *driver;		/* --driver, or NULL */
	bool force, dry;
};

/* Print what is found of each device; without names, of the machine. The exit status. */
int findings_print(const struct action *action, const struct sources *sources, char **names,
		   int n, const struct look *look, bool json);

/* ---- bind.c: --bind and --unbind ------------------------------------------------------------ */

/* The exit status. */
int bind_devices(const struct action *action, const char *sysfs, char **names, int n);

/* ---- use.c ---------------------------------------------------------------------------------- */

/*
 * Print what uses the device, or another one of its IOMMU group (-1: none), so that it should not
 * lose its driver: how many things that are.
 */
unsigned int use_report(const char *sysfs, const char *bdf, int64_t group);
/* Of that only its virtual functions, which a driver of VFIO's may have, too. */
unsigned int use_functions(int device, const char *bdf);

/* ---- errors.c: the side channels of devices ----------------------------------------------- */

void errors_print(const struct device_list *list, const struct look *look);

/* ---- config_map.c: how each bit of configuration space behaves ------------------------------ */

/* Ask the device; of one that is not asked, the table tells. */
void config_map_ask(struct device *d, struct vfio_dev *dev);
void config_map_print(const struct device *d, const struct look *look);
struct json_object *config_map_value(const struct device *d);

/* ---- dma.c: the memory that a client has given a device ---------------------------------- */

/* Ask the device. */
void dma_ask(struct dma *dma, struct vfio_dev *dev);
/* "3 of 1000 granted, 1048576 advertised", "12K, without limit"; NULL where it is not known. */
char *dma_maps_text(const struct dma *dma);
char *dma_bytes_text(const struct dma *dma);
/* The maps, to be ended with table_end(). */
struct libscols_table *dma_table(const struct dma *dma, const struct look *look);
struct json_object *dma_value(const struct dma *dma);

/* ---- taint.c: use of devices that nothing isolates ------------------------------------------ */

/* One use, as the record has it. */
struct mark {
	char *time, *program, *device, *backend;	/* the last three may be NULL, but device */
	uint32_t uid, pid;
};

struct taint {
	size_t uses;		/* that there were, */
	size_t n;		/* and the first of them */
	struct mark *marks;
	size_t nonsense;	/* lines that are no use */
};

/* That there is no record is a failure only if somebody named it. False after a complaint. */
bool taint_read(struct taint *taint, const char *path, bool named);
void taint_free(struct taint *taint);
/* Tell each device what the record has of it, unless its vfiod has told. */
void taint_mark(const struct taint *taint, struct device_list *list);
char *taint_text(const struct tainted *tainted);
/* Below a list. */
void taint_print(const struct taint *taint);
struct json_object *tainted_value(const struct tainted *tainted);
struct json_object *taint_value(const struct taint *taint);

/* ---- title.c -------------------------------------------------------------------------------- */

/* Print the line above what is said of a device: its name, and where it was found. */
void title_print(const struct device *d, const struct look *look);

/* ---- list.c, show.c, json.c: the three ways to print -------------------------------------- */

void list_print(const struct device_list *list, const struct columns *columns,
		const struct look *look);
void show_print(const struct device *d, const struct look *look);
/*
 * Print the whole output, of which devices is the list; it is freed. taint: NULL, where it is not
 * asked for.
 */
void json_print_devices(struct json_object *devices, const struct taint *taint);
void json_print_list(const struct device_list *list, const struct columns *columns,
		     const struct taint *taint);
void json_print_full(const struct device_list *list, const struct taint *taint);
void json_print_errors(const struct device_list *list);
void json_print_map(const struct device_list *list);

/* ---- value.c: JSON values --------------------------------------------------------------- */

struct json_object *value_string(const char *s);	/* null for NULL */
struct json_object *value_number(uint64_t n);
struct json_object *value_hex(uint64_t n);
struct json_object *value_flags(const struct flag *table, uint32_t flags);
struct json_object *value_client(const struct client *client);
struct json_object *value_object(void);
struct json_object *value_list(void);
void value_set(struct json_object *object, const char *key, struct json_object *value);
void value_add(struct json_object *list, struct json_object *value);

#endif

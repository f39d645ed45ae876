/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "histogram.h"
#include "program.h"

#define ROWS_AN_OCTAVE 2u
#define ROWS (ROWS_AN_OCTAVE * HISTOGRAM_MOST)
#define LABELS 36u			/* columns beside the bars */

void histogram_init(struct histogram *h)
{
	*h = (struct histogram){ .least = UINT64_MAX };
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->buckets[i] += other->buckets[i];
	h->count += other->count;
	h->sum += other->sum;
	if (other->least < h->least)
		h->least = other->least;
	if (other->most > h->most)
		h->most = other->most;
}

uint64_t histogram_value(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket;
	shift = (bucket >> HISTOGRAM_BITS) - 1;
	return ((uint64_t)bucket - ((uint64_t)shift << HISTOGRAM_BITS)) << shift;
}

uint64_t histogram_percentile(const struct histogram *h, uint32_t of_a_million)
{
	/* The rank, rounded up: the last of the smallest so many. */
	uint64_t rank = (uint64_t)(((unsigned __int128)h->count * of_a_million + 999999) / 1000000);
	uint64_t seen = 0, value;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS && h->count; i++) {
		seen += h->buckets[i];
		if (seen < rank || !seen)
			continue;
		value = histogram_value(i + 1) - 1;
		return value < h->most && i < HISTOGRAM_BUCKETS - 1 ? value : h->most;
	}
	return 0;
}

const char *time_text(char *text, uint64_t ns)
{
	if (ns < 1000)
		snprintf(text, TIME_TEXT, "%u ns", (unsigned int)ns);
	else if (ns < 1000000)
		snprintf(text, TIME_TEXT, "%.1f %s", (double)ns / 1e3, is_utf8() ? "µs" : "us");
	else if (ns < 1000000000)
		snprintf(text, TIME_TEXT, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(text, TIME_TEXT, "%.1f s", (double)ns / 1e9);
	return text;
}

/* ---- drawing ----------------------------------------------------------------------------- */

static unsigned int bar_width(void)
{
	struct winsize size;
	unsigned int columns = 80;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > LABELS + 10)
		columns = size.ws_col;
	return columns - LABELS < 60 ? columns - LABELS : 60;
}

/* Half an octave: a power of two, or one and a half. */
static unsigned int row_of(uint64_t value)
{
	unsigned int octave = value ? 63 - (unsigned int)__builtin_clzll(value) : 0;
	unsigned int row = ROWS_AN_OCTAVE * octave + (octave && value >> (octave - 1) & 1);

	return row < ROWS ? row : ROWS - 1;
}

static uint64_t row_value(unsigned int row)
{
	uint64_t base = 1ull << row / ROWS_AN_OCTAVE;

	return row % ROWS_AN_OCTAVE ? base + base / 2 : base;
}

/* A bar of eighths of a column; of whole columns where there are only letters. */
static void draw_bar(uint64_t count, uint64_t most, unsigned int width)
{
	static const char *const eighths[] = {
		"", "▏", "▎", "▍", "▌", "▋", "▊", "▉",
	};
	unsigned int length = (unsigned int)((double)count / (double)most * width * 8);
	unsigned int column = 0;

	/* What is there can be seen. */
	if (count && !length)
		length = 1;
	if (!is_utf8())
		length = (length + 7) & ~7u;
	for (; column < length / 8; column++)
		fputs(is_utf8() ? "█" : "#", stdout);
	if (length % 8) {
		fputs(eighths[length % 8], stdout);
		column++;
	}
	printf("%*s", (int)(width - column), "");
}

static void draw_row(unsigned int row, uint64_t count, uint64_t most, uint64_t all)
{
	char text[TIME_TEXT];
	/* printf() counts bytes, and µ has two. */
	int wide = is_utf8() && row_value(row) >= 1000 && row_value(row) < 1000000 ? 11 : 10;

	printf("%*s %s", wide, time_text(text, row_value(row)), is_utf8() ? "│" : "|");
	draw_bar(count, most, bar_width());
	printf(" %10" PRIu64 " %5.1f %%\n", count, (double)count * 100 / (double)all);
}

void histogram_draw(const struct histogram *h)
{
	uint64_t rows[ROWS] = { 0 }, most = 0;
	unsigned int first = row_of(h->least), last = row_of(h->most);

	if (!h->count)
		return;
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		rows[row_of(histogram_value(i))] += h->buckets[i];
	for (unsigned int i = 0; i < ROWS; i++)
		most = rows[i] > most ? rows[i] : most;
	for (unsigned int i = first; i <= last; i++)
		draw_row(i, rows[i], most, h->count);
}

/* SPDX-License-Identifier: MIT */
/* What bench prints. */
#include <inttypes.h>
#include <string.h>

#include "bench.h"
#include "sheet.h"

struct total {
	uint64_t begun, ended, reads, writes;
	struct histogram latency;
};

static void sum_up(const struct bench *bench, struct total *total)
{
	*total = (struct total){ .begun = UINT64_MAX };
	histogram_init(&total->latency);
	for (unsigned int i = 0; i < bench->queues; i++) {
		const struct worker *worker = &bench->workers[i];

		if (worker->begun < total->begun)
			total->begun = worker->begun;
		if (worker->ended > total->ended)
			total->ended = worker->ended;
		total->reads += worker->reads;
		total->writes += worker->writes;
		histogram_merge(&total->latency, &worker->latency);
	}
	/* Nothing was answered. */
	if (total->ended < total->begun)
		total->ended = total->begun;
}

/* A latency: in nanoseconds for programs. */
static void put_time(struct sheet *sheet, const char *label, const char *key, uint64_t ns)
{
	char text[TIME_TEXT];

	sheet_text(sheet, label, NULL, time_text(text, ns));
	sheet_number(sheet, NULL, key, ns, NULL);
}

static void put_setup(struct sheet *sheet, const struct bench *bench)
{
	const struct settings *settings = &bench->program->settings;
	const char *name = settings->plain ? settings->plain : disk_name(bench->program);

	sheet_chars(sheet, settings->plain ? "file" : "device", settings->plain ? "file" : "device",
		    name, strlen(name));
	if (!settings->plain)
		sheet_number(sheet, "namespace", "namespace", bench->program->ns->nsid, NULL);
	sheet_text(sheet, "pattern", "pattern", bench->pattern->name);
	sheet_size(sheet, "size", "size", bench->size);
	sheet_number(sheet, "depth", "depth", settings->plain ? 1 : bench->depth, NULL);
	sheet_number(sheet, settings->plain ? "threads" : "queues", "queues", bench->queues, NULL);
	sheet_text(sheet, "waits by", "waits", settings->plain ? "pread" :
		   settings->poll ? "polling" : "interrupts");
}

static void put_result(struct sheet *sheet, const struct bench *bench, const struct total *total)
{
	uint64_t ns = total->ended - total->begun, commands = total->reads + total->writes;
	const struct vfio_error *event = &bench->program->event;
	double seconds = (double)ns / 1e9;
	char text[64];

	sheet_real(sheet, "measured for", "seconds", seconds, " s");
	sheet_yes(sheet, NULL, "interrupted", stop_signal || event->err);
	if (stop_signal || event->err)
		sheet_text(sheet, "ended by", NULL, stop_signal ? strsignal(stop_signal) :
			   vfio_error_meaning(event->code));
	sheet_number(sheet, "reads", "reads", total->reads, NULL);
	sheet_number(sheet, "writes", "writes", total->writes, NULL);
	snprintf(text, sizeof(text), "%.0f IOPS, %.1f MiB/s", ns ? (double)commands / seconds : 0,
		 rate(commands * bench->size, ns));
	sheet_text(sheet, "rate", NULL, text);
	sheet_real(sheet, NULL, "iops", ns ? (double)commands / seconds : 0, NULL);
	sheet_real(sheet, NULL, "mib_per_second", rate(commands * bench->size, ns), NULL);
}

static void put_latency(struct sheet *sheet, const struct histogram *h)
{
	sheet_group(sheet, "Latency", "latency_ns");
	put_time(sheet, "least", "min", h->count ? h->least : 0);
	put_time(sheet, "mean", "mean", h->count ? h->sum / h->count : 0);
	put_time(sheet, "50 %", "p50", histogram_percentile(h, 500000));
	put_time(sheet, "90 %", "p90", histogram_percentile(h, 900000));
	put_time(sheet, "99 %", "p99", histogram_percentile(h, 990000));
	put_time(sheet, "99.9 %", "p99.9", histogram_percentile(h, 999000));
	put_time(sheet, "most", "max", h->most);
}

/* Buckets that are not empty. */
static void put_buckets(struct sheet *sheet, const struct histogram *h)
{
	sheet_list(sheet, "histogram");
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (!h->buckets[i])
			continue;
		sheet_item(sheet, NULL, "histogram");
		sheet_number(sheet, NULL, "from_ns", histogram_value(i), NULL);
		sheet_number(sheet, NULL, "below_ns", histogram_value(i + 1), NULL);
		sheet_number(sheet, NULL, "count", h->buckets[i], NULL);
	}
}

void bench_report(const struct bench *bench)
{
	struct total total;
	struct sheet sheet;

	sum_up(bench, &total);
	sheet_begin(&sheet, bench->program->settings.json);
	sheet_group(&sheet, "Benchmark", "bench");
	put_setup(&sheet, bench);
	put_result(&sheet, bench, &total);
	put_latency(&sheet, &total.latency);
	if (sheet.json) {
		put_buckets(&sheet, &total.latency);
	} else {
		putchar('\n');
		histogram_draw(&total.latency);
	}
	sheet_end(&sheet);
}

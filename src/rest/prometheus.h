/* SPDX-License-Identifier: Apache-2.0
 *
 * Prometheus text (exposition format 0.0.4), built into one growing buffer. Once memory ends the
 * text is marked as failed and further calls do nothing, so only the end is checked. One thread.
 */
#ifndef REST_PROMETHEUS_H
#define REST_PROMETHEUS_H

#include "sluice/types.h"

#define PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct prometheus {
    char *p; /* the text, owned, not terminated */
    size_t len, capacity;
    bool is_failed;     /* no memory: the text is cut */
    const char *family; /* of the samples that follow */
};

struct prometheus_label {
    const char *name;
    struct str value;
};

/* An empty text; takes no memory yet. */
void prometheus_init(struct prometheus *text);
/* Frees the text; it is then as after init. */
void prometheus_fini(struct prometheus *text);

enum { PROMETHEUS_LABELS = 6 };

enum prometheus_type { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE, PROMETHEUS_HISTOGRAM };

/* HELP and TYPE of a family; its samples follow before the next family begins, and no family comes
 * twice. `name` and `help` are static, `help` one sentence without line ends. */
void prometheus_family(struct prometheus *text, const char *name, enum prometheus_type type,
                       const char *help);
/* Samples of the family. `labels` ends with a NULL name; NULL: none. Values are escaped. */
void prometheus_u64(struct prometheus *text, const struct prometheus_label *labels, uint64_t value);
void prometheus_double(struct prometheus *text, const struct prometheus_label *labels,
                       double value);
/* Appends what `other` holds, which was built by itself: families whose samples are found in one
 * walk. */
void prometheus_append(struct prometheus *text, const struct prometheus *other);
/* One more bucket of a histogram, cumulative, up to `edge` (a number of the family's unit, or
 * INFINITY for the last); then what all come to. At most PROMETHEUS_LABELS labels. */
void prometheus_bucket(struct prometheus *text, const struct prometheus_label *labels, double edge,
                       uint64_t count);
void prometheus_total(struct prometheus *text, const struct prometheus_label *labels, double sum,
                      uint64_t count);

/* Answers a scrape with it, and frees it. */
struct rest_call;
void prometheus_reply(struct prometheus *text, struct rest_call *call);

/* The families process_*, from /proc/self; what cannot be read is left out. */
void prometheus_process(struct prometheus *text);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Prometheus text (exposition format 0.0.4), built into one growing buffer on the manager thread.
 * Once memory ends the text is marked as failed and further calls do nothing, so only the end is
 * checked.
 */
#ifndef EDGE_METRIC_PROMETHEUS_H
#define EDGE_METRIC_PROMETHEUS_H

#include "edge/metric/stat.h"

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
/* _bucket for each edge and +Inf, _sum and _count, in seconds. At most 6 labels. */
void prometheus_histogram(struct prometheus *text, const struct prometheus_label *labels,
                          const struct stat_histogram *histogram);

/* The families sluice_http_* and sluice_upstream_* that are in `stats`. */
void prometheus_stats(struct prometheus *text, const struct stats *stats);
/* The families process_*, from /proc/self; what cannot be read is left out. */
void prometheus_process(struct prometheus *text);

#endif

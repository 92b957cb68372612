/* SPDX-License-Identifier: Apache-2.0
 *
 * One record as one line. Called by the log thread; pure but for the caches of dates.
 */
#ifndef EDGE_METRIC_ACCESS_FORMAT_H
#define EDGE_METRIC_ACCESS_FORMAT_H

#include "base/clock.h"
#include "edge/metric/access_ring.h"

enum { ACCESS_LINE_FIXED = 1024 }; /* more than all that is not a text of the record */

struct access_format {
    struct clock_date json_date, common_date;
};

/* The most bytes that the line of this record may take, in any format. */
size_t access_format_room(const struct access_entry *entry);
/* Each writes the line with its '\n', the only one in it, and returns the new end. */
char *access_format_json(struct access_format *format, const struct access_entry *entry, char *out);
/* NCSA's common log format with referer and user agent ("combined"). */
char *access_format_common(struct access_format *format, const struct access_entry *entry,
                           char *out);

#endif

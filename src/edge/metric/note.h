/* SPDX-License-Identifier: Apache-2.0
 *
 * A short text that one thread writes now and then and others read, without a lock: who reads while
 * it changes reads again. Zero bytes are the empty text.
 */
#ifndef EDGE_METRIC_NOTE_H
#define EDGE_METRIC_NOTE_H

#include "sluice/types.h"

enum { NOTE_MAX = 248 /* bytes; a longer text is cut */ };

struct note {
    uint64_t turn; /* odd: it is being written */
    uint64_t words[(NOTE_MAX + 8) / 8];
};

/* Its one writer. */
void note_write(struct note *note, struct str text);
/* Any thread: the text into `out`, NOTE_MAX + 1 bytes, terminated. */
struct str note_read(const struct note *note, char *out);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at the frame headers of a connection (RFC 9113 section 4.1) before nghttp2 sees them: what
 * they cost, and the few rules that it does not keep. Pure; one thread.
 */
#ifndef HTTP_H2_SCAN_H
#define HTTP_H2_SCAN_H

#include "sluice/types.h"

enum { H2_FRAME_HEADER = 9, H2_FRAME_MAX = 16 * 1024 }; /* bytes; the latter of a payload */

struct h2_scan {
    uint8_t header[H2_FRAME_HEADER];
    uint8_t filled;     /* bytes of it that are in */
    uint32_t left;      /* bytes of payload, or of the preface, still to come */
    int32_t last_id;    /* newest stream of a client */
    int32_t skipped_id; /* ids from here to last_id were passed over; 0: none */
    bool is_server;
};

/* What one piece of input holds. */
struct h2_scanned {
    size_t len;      /* bytes up to the end of input, or to the frame that must not come */
    int32_t cost;    /* of its frames but WINDOW_UPDATE, see h2_charge() */
    int32_t updates; /* WINDOW_UPDATEs in it */
    uint32_t code;   /* the connection error of the frame at `len`; NO_ERROR: none */
};

/* `is_server`: a client's preface comes first. */
void h2_scan_init(struct h2_scan *scan, bool is_server);
/* Goes on with what came next. */
struct h2_scanned h2_scan_next(struct h2_scan *scan, struct str in);

#endif

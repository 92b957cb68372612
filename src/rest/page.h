/* SPDX-License-Identifier: Apache-2.0
 *
 * The dashboard: the files of rest/page, which the build embeds, served as they are. They hold
 * nothing of the gateway that serves them, so anybody may have them; what they show, they ask for.
 * It stands here and not at the edge, since control serves the same where it is alone. The loop's
 * thread.
 */
#ifndef REST_PAGE_H
#define REST_PAGE_H

#include "rest/rest.h"

struct page_file {
    const char *name, *type, *etag; /* "app.js"; its media type; quoted */
    const unsigned char *bytes;
    size_t len;
};

/* Made by rest/page/embed.cmake. */
extern const struct page_file page_files[];
extern const size_t page_file_count;
/* Of all the files together; stands in index.html too, so that a page knows what it is. */
extern const char page_tag[];

/* Answers with a file; empty: the page itself. */
void page_serve(struct rest_call *call, struct str name);

#endif

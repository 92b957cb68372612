/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/page.h"

#include <string.h>

/* Scripts and styles are files of this server, nothing stands in the page itself, and no other page
 * may frame it. */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

static const struct page_file *find(struct str name)
{
    if (!name.len)
        name = STR("index.html");
    for (size_t i = 0; i < page_file_count; i++)
        if (str_same(name, (struct str){page_files[i].name, strlen(page_files[i].name)}))
            return &page_files[i];
    return NULL;
}

/* RFC 9110 13.1.2: one of a list, weak or not, or whatever there is. A tag has no comma in it. */
static bool has_it(struct str known, const char *etag)
{
    return str_same(known, STR("*")) ||
           (known.len && memmem(known.p, known.len, etag, strlen(etag)));
}

void page_serve(struct rest_call *call, struct str name)
{
    const struct page_file *file = find(name);
    struct str known = head_value_name(&call->head, STR("if-none-match"));

    if (!file) {
        rest_problem(call, 404, "not_found", "The page has no file of this name.");
        return;
    }
    rest_field(call, "ETag", "%s", file->etag);
    rest_field(call, "Content-Security-Policy", "%s", policy);
    rest_field(call, "Referrer-Policy", "no-referrer");
    rest_field(call, "Cross-Origin-Resource-Policy", "same-origin");
    call->caching = "no-cache";
    rest_reply(call, has_it(known, file->etag) ? 304 : 200, file->type,
               (struct str){(const char *)file->bytes, file->len});
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the validate filter: its configuration, and what it knows of one request.
 */
#ifndef EDGE_FILTER_VALIDATE_VISIT_H
#define EDGE_FILTER_VALIDATE_VISIT_H

#include "base/buf.h"
#include "config/conf.h"
#include "config/field.h"
#include "edge/validate/openapi.h"
#include "sluice/filter.h"

struct validate_conf {
    struct conf_text schema_file, openapi_file, base_path;
    uint32_t body_max;
    enum { VALIDATE_REFUSE, VALIDATE_PASS } unknown_paths;
    bool dry_run;
    /* compiled */
    const struct jschema *schema; /* of every body; NULL: by the document */
    const struct openapi *api;
    struct ecma *patterns;
    uint64_t seed;
};

struct validate_state {
    const char *outcome;          /* static; NULL: not asked */
    const struct jschema *schema; /* that the body is to fit; NULL: it is not to be seen */
    struct buf body;
    bool is_required; /* there has to be a body */
    bool is_passing;  /* what comes of the body goes by unseen */
    enum reason why;  /* it is or would be refused; NONE: not */
    struct str at, keyword, member, operation, path;
    struct str detail;
    struct str allow; /* methods or types, for the answer */
};

extern const struct field validate_fields[];
/* The filter's hooks of these names, see filter.h. */
bool validate_check(void *conf, struct span at, struct diag *diag);
bool validate_prepare(void *conf, const struct filter_prepare *prepare);
void validate_dispose(void *conf);

/* What is wrong with the request: it is refused, or on trial only counted. True: refused. */
bool validate_refuse(struct visit *visit, enum reason why);
/* Notes where a value failed. `subject`: what the detail begins with. */
void validate_note(struct visit *visit, struct str subject, const struct jschema_fault *fault);
/* The body of a request, as it comes. */
enum reason validate_take(struct visit *visit, const struct piece *piece,
                          const struct body_way *way);

#endif

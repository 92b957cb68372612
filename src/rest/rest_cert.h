/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate that the ports of an API server show, from a pair of files that is read again
 * when it changes, on a thread of libuv's pool. A bad new pair does not take the place of a good
 * one. Owned by the server. The loop's thread.
 */
#ifndef REST_REST_CERT_H
#define REST_REST_CERT_H

#include <jansson.h>
#include <uv.h>

#include "sluice/types.h"

struct rest_cert;  /* private */
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* `who` (static) begins the lines that are said on stderr. NULL: memory. */
struct rest_cert *rest_cert_new(uv_loop_t *loop, const char *who);
/* The loop must turn until a look that is under way is over. */
void rest_cert_free(struct rest_cert **cert);

/* From now on the pair of these files; paths are copied. The first is read at once, which blocks;
 * any other soon, and the one before is shown until then. */
void rest_cert_use(struct rest_cert *cert, struct str cert_path, struct str key_path);
/* A second has passed. */
void rest_cert_tick(struct rest_cert *cert);
/* What to make connections with; NULL: nothing could be read yet. */
struct ssl_ctx_st *rest_cert_context(const struct rest_cert *cert);
/* names, issuer, not_after, fingerprint; error: why the files as they are now are not shown. NULL:
 * no memory. */
json_t *rest_cert_json(const struct rest_cert *cert);

#endif

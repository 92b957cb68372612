/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies of control's database in a store that speaks S3, so that they outlive this machine: made
 * every so often when something has changed, under a name of their time; of ours the oldest beyond
 * so many are deleted. One that fails is made again, and that it does stands in the ledger. Called
 * by control.c. Control's one thread.
 */
#ifndef CONTROL_BACKUPS_H
#define CONTROL_BACKUPS_H

#include "config/conf.h"
#include "control/journal.h"
#include "control/outbound.h"
#include "control/store.h"

struct backups; /* private */

struct backups_options {
    uv_loop_t *loop;
    struct store *store;
    struct journal *journal;
    struct outbound *outbound;
};

/* NULL: no memory. */
struct backups *backups_new(const struct backups_options *options);
/* Where to. E_NOMEM: nowhere. */
MUST_USE enum status backups_configure(struct backups *backups, const struct conf_control *conf);
/* Several times a second. */
void backups_tick(struct backups *backups, int64_t now_ms);
/* {"url", "object", "at_ms", "error"}, the caller's; NULL: there are none. */
json_t *backups_json(const struct backups *backups);
/* Ends its calls; before outbound goes. */
void backups_close(struct backups *backups);
/* When the store has ended, and the loop has. */
void backups_free(struct backups **backups);

#endif

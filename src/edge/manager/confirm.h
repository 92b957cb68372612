/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration that waits to be confirmed: the text before it and until when, kept in
 * <state>/unconfirmed.json so that whichever process runs then takes it back, also after a crash or
 * an upgrade. Whoever calls owns the struct; the
 * functions block.
 */
#ifndef EDGE_MANAGER_CONFIRM_H
#define EDGE_MANAGER_CONFIRM_H

#include "sluice/types.h"

struct confirm {
    char *old; /* text to go back to, owned; NULL: nothing waits */
    size_t old_len;
    uint64_t deadline_ms; /* Unix time */
};

/* Writes the file for the configuration at the path `config`. E_IO with errno, E_NOMEM. */
MUST_USE enum status confirm_save(const char *state_dir, const char *config, struct str old,
                                  uint64_t deadline_ms);
/* Removes it. One that is not there is fine. E_IO with errno. */
MUST_USE enum status confirm_remove(const char *state_dir);
/* Reads the file into an empty struct. E_NOT_FOUND: there is none of this configuration, or it is
 * damaged (which is said on stderr); E_NOMEM. */
MUST_USE enum status confirm_load(const char *state_dir, const char *config,
                                  struct confirm *confirm);
/* Puts the old text back if the file is there, of this configuration, and its time is over at
 * `now_ms` (Unix time); then removes it. True: it did. */
bool confirm_revert(const char *state_dir, const char *config, uint64_t now_ms);
/* Forgets it in memory. */
void confirm_clear(struct confirm *confirm);

#endif

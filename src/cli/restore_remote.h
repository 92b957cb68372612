/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice restore` from a store that speaks S3: the newest backup there, or the one that is named.
 * Who may read it says the environment, as for Amazon's own tools. Blocking.
 */
#ifndef CLI_RESTORE_REMOTE_H
#define CLI_RESTORE_REMOTE_H

#include <stdbool.h>

enum { RESTORE_NAME = 64 };

bool restore_is_remote(const char *word);
/* Puts it into a file that only we may read; `name` is what it is called there. Else says what is
 * wrong; the exit code. */
int restore_fetch(const char *url, const char *path, char name[RESTORE_NAME]);

#endif

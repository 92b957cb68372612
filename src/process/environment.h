/* SPDX-License-Identifier: Apache-2.0
 *
 * What a started process finds around it: its environment, and which file the program is now.
 */
#ifndef PROCESS_ENVIRONMENT_H
#define PROCESS_ENVIRONMENT_H

#include "sluice/types.h"

/* Our own environment without what is between supervisor and edge (SLUICE_LINK, SLUICE_UNITS,
 * SLUICE_HANDOVER) and, but for a handover, what is for systemd; with "NAME=value" added if not
 * NULL. The vector is the caller's to free(), its texts are not. NULL: no memory. */
char **environment_new(const char *entry);

/* The program that argv0 names now: a path with a slash as it is, else found in PATH, else
 * `fallback`. False when nothing executable is there. */
bool environment_find(const char *argv0, const char *fallback, char *path, size_t size);

#endif

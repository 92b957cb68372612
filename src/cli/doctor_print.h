/* SPDX-License-Identifier: Apache-2.0
 *
 * What `sluice doctor` prints: a block a target in words, or all as JSON.
 */
#ifndef CLI_DOCTOR_PRINT_H
#define CLI_DOCTOR_PRINT_H

#include "cli/doctor_list.h"

/* To stdout. */
void doctor_print(const struct doctor_list *list, bool is_json);

#endif

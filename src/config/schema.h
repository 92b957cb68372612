/* SPDX-License-Identifier: Apache-2.0
 *
 * What the field tables say, for editors (JSON Schema draft 2020-12) and for people (Markdown). For
 * the command `schema` and the tests. Any thread.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdio.h>

#include "config/conf.h"

/* The schema of the file as indented JSON that ends in a newline; only world->filters is read. From
 * malloc, the caller frees it; NULL when memory ends. */
char *schema_json(const struct conf_world *world);

/* Every key with its type, default and meaning, as Markdown; only world->filters is read. */
void reference_write(FILE *out, const struct conf_world *world);

#endif

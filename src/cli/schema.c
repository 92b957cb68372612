/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice schema`: what the field tables say, for editors or, with --reference, for people.
 */
#include "config/schema.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sluice/filter.h"

int cli_schema(int argc, char **argv)
{
    const struct conf_world world = {.filters = filter_registry};
    char *text;

    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--reference") != 0)) {
        fprintf(stderr, "usage: sluice schema [--reference]\n");
        return 2;
    }
    if (argc == 2) {
        reference_write(stdout, &world);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    text = schema_json(&world);
    if (!text)
        return 1;
    fputs(text, stdout);
    free(text);
    return fflush(stdout) == 0 ? 0 : 1;
}

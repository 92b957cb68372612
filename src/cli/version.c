/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice version`: what this binary is. With --handover N it says by its exit status whether it
 * can take over from a supervisor of that handover version.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "process/supervisor.h"

int cli_version(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--handover"))
        return supervisor_takes_handover(strtoul(argv[2], NULL, 10)) ? 0 : 1;
    if (argc == 2 && !strcmp(argv[1], "--json")) {
        printf("{\"version\":\"%s\"}\n", SLUICE_VERSION);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "usage: sluice version [--json]\n");
        return 2;
    }
    printf("sluice %s\n", SLUICE_VERSION);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The program of tests/process: as much of main as the supervisor needs, with FAKE_EDGE in place of
 * the edge. `check` refuses a file in which the word "wrong" stands.
 */
#include "process/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check(const char *path)
{
    char text[4096] = "";
    FILE *in = fopen(path, "r");
    if (in) {
        size_t len = fread(text, 1, sizeof text - 1, in);
        text[len] = '\0';
        fclose(in);
    }
    if (in && !strstr(text, "wrong"))
        return 0;
    fprintf(stderr, "%s:1:1: error: this is wrong\n", path);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "version"))
        return (unsigned)atoi(argv[3]) == supervisor_handover_version() ? 0 : 1;
    if (argc == 3 && !strcmp(argv[1], "check"))
        return check(argv[2]);
    if (argc != 3 || strcmp(argv[1], "run") != 0)
        return 2;
    const struct supervisor_conf conf = {
        .argv = argv,
        .self = getenv("FAKE_EDGE"),
        .config = argv[2],
        .watch = true,
    };
    return supervisor_run(&conf);
}

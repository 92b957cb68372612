/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice control FILE`: the process that the supervisor starts beside the edge; not for people.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "control/control.h"
#include "sluice/filter.h"

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

int cli_control(int argc, char **argv)
{
    const struct conf_world world = {.env = get_env,
                                     .filters = filter_registry,
                                     .expands_provider_token = true};

    if (argc != 2) {
        fprintf(stderr, "sluice control: started by `sluice run`, not by hand\n");
        return 2;
    }
    return control_run(&(struct control_options){.config = argv[1], .world = &world});
}

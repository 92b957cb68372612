/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "config/diag.h"

const char *show_text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "-";
}

long long show_number(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

const char *show_state(const json_t *target)
{
    return json_is_true(json_object_get(target, "drained")) ? "drained"
                                                            : show_text(target, "state");
}

const char *show_age(long long seconds, char text[16])
{
    static const struct {
        long long seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;

    while (units[i].seconds > 1 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(text, 16, "%lld%c", seconds / units[i].seconds, units[i].unit);
    return text;
}

const char *show_scale(const json_t *service, char text[SHOW_SCALE])
{
    const char *state = show_text(service, "state");
    long long wanted = show_number(service, "wanted");

    if (!strcmp(state, "broken"))
        snprintf(text, SHOW_SCALE, "cannot be woken: %s; it is tried again in %lld s",
                 show_text(service, "why"), (show_number(service, "retry_ms") + 999) / 1000);
    else if (!strcmp(state, "asleep"))
        snprintf(text, SHOW_SCALE, "is asleep: a request wakes it");
    else
        snprintf(text, SHOW_SCALE, "is %s: %lld of %lld %s up", state,
                 show_number(service, "ready"), wanted, wanted == 1 ? "unit is" : "units are");
    return text;
}

void show_unknown_service(const char *name, const json_t *services)
{
    size_t count = json_array_size(services);
    const char **names = calloc(count + 1, sizeof(*names)), *nearest;

    for (size_t i = 0; names && i < count; i++)
        names[i] = show_text(json_array_get(services, i), "name");
    nearest = names ? diag_nearest((struct str){name, strlen(name)}, names, count) : NULL;
    fprintf(stderr, "sluice: there is no service \"%s\"", name);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputc('\n', stderr);
    free(names);
}

int show_lacking(const json_t *answer, const char *follows)
{
    const json_t *lacking = json_object_get(answer, "lacking"), *edge;
    size_t i;

    json_array_foreach(lacking, i, edge) fprintf(stderr,
                                                 "edge \"%s\" %s (%s): it is told when it is back, "
                                                 "or `sluice edge forget %s` if it is gone\n",
                                                 show_text(edge, "name"), follows,
                                                 show_text(edge, "error"), show_text(edge, "name"));
    return json_array_size(lacking) ? CLIENT_WAITS : CLIENT_OK;
}

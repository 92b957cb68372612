/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles the lua filter: the script is read, and loaded once in a state that is thrown away, so
 * that what is wrong with it is an error of the configuration. Workers load the same text again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <luajit-2.1/lauxlib.h>

#include "base/arena.h"
#include "base/file.h"
#include "config/field.h"
#include "edge/filter/lua_visit.h"
#include "edge/metric/stat.h"
#include "edge/script/dict.h"

enum { MEMORY_MIN = 256 * 1024, MEMORY_MAX = 1024 * 1024 * 1024, TIME_MAX_MS = 1000 };
#define BODY_MAX (SCRIPT_OBJECT_MAX / 2)

const struct field lua_conf_fields[] = {
    {.name = "script",
     .doc = "The script's file. It is read again on each reload.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct lua_conf, script)},
    {.name = "memory",
     .doc = "Bytes that the script may take in each worker.",
     .standard = "8MiB",
     .type = FIELD_SIZE,
     .min = MEMORY_MIN,
     .max = MEMORY_MAX,
     FIELD_AT(struct lua_conf, memory)},
    {.name = "time",
     .doc = "How long one call of the script may take; where the worker was kept from the "
            "processor, up to twice that.",
     .standard = "5ms",
     .type = FIELD_DURATION,
     .min = 1,
     .max = TIME_MAX_MS,
     FIELD_AT(struct lua_conf, time_ms)},
    {.name = "jit",
     .doc = "Compiles what is hot. Only for scripts that are trusted: nothing can stop a compiled "
            "loop, and `time` is not watched.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct lua_conf, jit)},
    {.name = "body",
     .doc = "Bytes of a request body that are gathered for on_body; larger ones are refused.",
     .standard = "64KiB",
     .type = FIELD_SIZE,
     .min = 1,
     .max = BODY_MAX,
     FIELD_AT(struct lua_conf, body)},
    FIELD_END,
};

bool lua_conf_check(void *conf, struct span at, struct diag *diag)
{
    const struct lua_conf *lua = conf;
    size_t len = lua->script.s.len;

    (void)at;
    if (len && !memchr(lua->script.s.p, 0, len))
        return true;
    diag_error(diag, lua->script.at, "it names no file");
    return false;
}

/* The place in the script that "NAME:LINE: text" tells of, and the text. Without a line, the place
 * is where the configuration names the script. */
static struct span find_line(const struct lua_conf *lua, struct diag *diag, const char **message)
{
    struct str name = lua->source.name, text = lua->source.text;
    const char *at = *message;
    struct span span;
    char *end;
    long line;

    if (strncmp(at, name.p, name.len) != 0 || at[name.len] != ':')
        return lua->script.at;
    line = strtol(at + name.len + 1, &end, 10);
    if (line < 1 || *end != ':')
        return lua->script.at;
    *message = end + 1 + (end[1] == ' ');
    span = (struct span){.source = diag_source(diag, name, text)};
    for (; line > 1 && span.offset < text.len; span.offset++)
        line -= text.p[span.offset] == '\n';
    while (span.offset + span.length < text.len && text.p[span.offset + span.length] != '\n')
        span.length++;
    return span.source ? span : lua->script.at;
}

static bool try(struct lua_conf *lua, struct diag *diag)
{
    struct dict_store *dicts = dict_open(SCRIPT_OBJECT_MAX);
    struct script_source source = lua->source;
    char message[SCRIPT_MESSAGE_MAX] = "there is no memory";
    enum script_fault fault;
    struct script *script = NULL;
    const char *text = message;
    struct span at = lua->script.at;

    source.dicts = dicts;
    source.log = NULL;
    if (dicts)
        script = script_new(&source, &fault, message);
    for (unsigned i = 0; script && i < SCRIPT_HOOKS; i++)
        lua->has[i] = script->hooks[i] != LUA_NOREF;
    if (!script) {
        at = find_line(lua, diag, &text);
        diag_error(diag, at, "%s", text);
    }
    dict_close(&dicts);
    if (!script)
        return false;
    script_free(&script);
    return true;
}

static bool read_text(struct lua_conf *lua, const struct filter_prepare *with)
{
    const char *path = lua->script.s.p;
    struct stat found;

    if (stat(path, &found))
        diag_error(with->diag, lua->script.at, "cannot read the script %s: %s", path,
                   strerror(errno));
    else if (!S_ISREG(found.st_mode)) // others could block, or never end
        diag_error(with->diag, lua->script.at, "%s is not a regular file", path);
    else if (found.st_size > SCRIPT_TEXT_MAX)
        diag_error(with->diag, lua->script.at, "the script has more than %d KiB",
                   SCRIPT_TEXT_MAX / 1024);
    else if (file_read(path, with->arena, &lua->source.text))
        diag_error(with->diag, lua->script.at, "cannot read the script %s", path);
    else
        return true;
    return false;
}

bool lua_conf_prepare(void *conf, const struct filter_prepare *with)
{
    struct lua_conf *lua = conf;
    struct script_source *source = &lua->source;

    if (!read_text(lua, with))
        return false;
    source->name = lua->script.s;
    source->memory_max = lua->memory;
    source->time_ms = lua->time_ms;
    source->jit = lua->jit;
    source->furnish = lua_object_furnish;
    if (getrandom(&source->seed, sizeof(source->seed), 0) < 0)
        source->seed = (uintptr_t)lua;
    lua->slots = arena_zero(with->arena, STAT_WORKERS_MAX, sizeof(*lua->slots));
    return lua->slots && try(lua, with->diag);
}

void lua_conf_dispose(void *conf)
{
    struct lua_conf *lua = conf;

    for (unsigned i = 0; lua->slots && i < STAT_WORKERS_MAX; i++)
        script_free(&lua->slots[i].script);
}

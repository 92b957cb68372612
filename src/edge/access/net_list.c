/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/net_list.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"

enum { FILE_MAX = 16 * 1024 * 1024, LISTS_MAX = 2 };

struct reading {
    struct nets_entry *entries;
    size_t count;
    struct diag *diag;
    bool is_good;
    /* of the file being read */
    struct str path, text;
    const struct source *source; /* NULL: nothing was wrong with it so far */
};

static void wrong(struct reading *reading, struct str text, struct span at)
{
    reading->is_good = false;
    diag_error(reading->diag, at, "\"%.*s\" is no network", STR_FMT(text));
    if (text.len && memchr(text.p, '/', text.len))
        diag_hint(reading->diag, "write it as in 10.0.0.0/8: no bits are set behind the prefix");
    else
        diag_hint(reading->diag, "write an address, or a network as in 10.0.0.0/8");
}

static bool add(struct reading *reading, struct str text, uint8_t value)
{
    struct nets_entry *entry = &reading->entries[reading->count];

    if (!cidr_parse(text, &entry->cidr))
        return false;
    entry->value = value;
    reading->count++;
    return true;
}

static void add_texts(struct reading *reading, const struct net_list *list)
{
    for (uint32_t i = 0; i < list->texts->count; i++)
        if (!add(reading, list->texts->items[i].s, list->value))
            wrong(reading, list->texts->items[i].s, list->texts->items[i].at);
}

/* --- files */

static struct str trim(struct str line)
{
    while (line.len && strchr(" \t\r", line.p[line.len - 1]))
        line.len--;
    while (line.len && strchr(" \t", *line.p)) {
        line.p++;
        line.len--;
    }
    return line;
}

static struct str without_comment(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.p[i] == '#' || line.p[i] == ';')
            line.len = i;
    return trim(line);
}

/* The place of a part of the file. */
static struct span place_of(struct reading *reading, struct str part)
{
    if (!reading->source)
        reading->source = diag_source(reading->diag, reading->path, reading->text);
    return (struct span){.source = reading->source,
                         .offset = (uint32_t)(part.p - reading->text.p),
                         .length = (uint32_t)part.len};
}

static void add_lines(struct reading *reading, const struct net_list *list)
{
    const char *at = reading->text.p, *end = at + reading->text.len;

    reading->path = list->file->s;
    reading->source = NULL;
    while (at < end) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        struct str line = {at, (size_t)((next ? next : end) - at)};

        line = without_comment(line);
        if (line.len && !add(reading, line, list->value))
            wrong(reading, line, place_of(reading, line));
        at = next ? next + 1 : end;
    }
}

static bool load(const struct net_list *list, struct arena *scratch, struct str *text,
                 struct diag *diag)
{
    struct stat file;
    const char *problem = NULL;

    if (!list->file->s.len)
        return true;
    if (stat(list->file->s.p, &file))
        problem = strerror(errno);
    else if (!S_ISREG(file.st_mode))
        problem = "it is not a file";
    else if (file.st_size > FILE_MAX)
        problem = "it is larger than 16 MiB";
    else if (file_read(list->file->s.p, scratch, text))
        problem = strerror(errno);
    if (problem)
        diag_error(diag, list->file->at, "cannot read the networks: %s", problem);
    return !problem;
}

static size_t count_lines(struct str text)
{
    size_t lines = 1;

    for (size_t i = 0; i < text.len; i++)
        lines += text.p[i] == '\n';
    return lines;
}

static const struct nets *read_all(const struct net_list *lists, size_t count,
                                   struct arena *scratch, struct arena *arena, struct diag *diag)
{
    struct reading reading = {.diag = diag, .is_good = true};
    struct str texts[LISTS_MAX] = {{NULL, 0}};
    size_t room = 0;

    for (size_t i = 0; i < count; i++) {
        reading.is_good = load(&lists[i], scratch, &texts[i], diag) && reading.is_good;
        room += lists[i].texts->count + count_lines(texts[i]);
    }
    reading.entries = arena_zero(scratch, room, sizeof(*reading.entries));
    if (!reading.entries)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        add_texts(&reading, &lists[i]);
        reading.text = texts[i];
        add_lines(&reading, &lists[i]);
    }
    return reading.is_good ? nets_new(reading.entries, reading.count, arena) : NULL;
}

const struct nets *net_list_read(const struct net_list *lists, size_t count, struct arena *arena,
                                 struct diag *diag)
{
    const struct nets *nets;
    struct arena scratch;

    arena_init(&scratch, NULL, 0);
    nets = count <= LISTS_MAX ? read_all(lists, count, &scratch, arena, diag) : NULL;
    arena_reset(&scratch);
    return nets;
}

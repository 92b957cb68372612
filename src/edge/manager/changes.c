/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum { PAGE = 100, DEAD_BYTES = 64 * 1024 };

struct entry {
    struct entry *next;
    int64_t seq;
    size_t len; /* of the line, with its end */
    char line[];
};

struct changes {
    char path[PATH_MAX], error[PATH_MAX + 64];
    char journal[CHANGES_ID + 1];
    struct entry *first, **last;
    size_t bytes;   /* of the lines in the list */
    int64_t newest; /* number of the last change there was; 0: none */
    int fd;         /* appends; -1: not open */
    off_t size;     /* of the file, as we know it */
    bool is_unsaved, is_unsynced, has_complained;
};

static void drop_first(struct changes *changes)
{
    struct entry *gone = changes->first;

    changes->first = gone->next;
    if (!changes->first)
        changes->last = &changes->first;
    changes->bytes -= gone->len;
    free(gone);
}

static bool add(struct changes *changes, int64_t seq, struct str line)
{
    struct entry *entry = malloc(sizeof(*entry) + line.len);

    if (!entry)
        return false;
    *entry = (struct entry){.seq = seq, .len = line.len};
    memcpy(entry->line, line.p, line.len);
    *changes->last = entry;
    changes->last = &entry->next;
    changes->bytes += line.len;
    changes->newest = seq;
    return true;
}

/* --- the file */

static void complain(struct changes *changes)
{
    if (!changes->has_complained)
        fprintf(stderr, "sluice: edge: cannot write %s: %s: changes wait in memory\n",
                changes->path, strerror(errno));
    changes->has_complained = true;
}

static bool write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t n = write(fd, text.p, text.len);

        if (n < 0)
            return false;
        text.p += n;
        text.len -= (size_t)n;
    }
    return true;
}

static bool write_lines(const struct changes *changes, int fd)
{
    char head[128];
    int len = snprintf(head, sizeof(head), "{\"journal\":\"%s\",\"newest\":%lld}\n",
                       changes->journal, (long long)changes->newest);

    if (!write_all(fd, (struct str){head, (size_t)len}))
        return false;
    for (const struct entry *entry = changes->first; entry; entry = entry->next)
        if (!write_all(fd, (struct str){entry->line, entry->len}))
            return false;
    return true;
}

static void take_fd(struct changes *changes, int fd)
{
    struct stat file;

    if (changes->fd >= 0)
        close(changes->fd);
    changes->fd = fd;
    changes->size = fstat(fd, &file) ? 0 : file.st_size;
    changes->is_unsaved = false;
    changes->is_unsynced = true;
    changes->has_complained = false;
}

/* All of it anew, in the old one's place. */
static void rewrite(struct changes *changes)
{
    char fresh[PATH_MAX + 8];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s.new", changes->path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    changes->is_unsaved = true;
    if (fd >= 0 && write_lines(changes, fd) && !rename(fresh, changes->path)) {
        take_fd(changes, fd);
        return;
    }
    complain(changes);
    if (fd >= 0) {
        close(fd);
        unlink(fresh);
    }
}

/* What broke off in the middle of a line goes, for the next one would be part of it. */
static void append(struct changes *changes, struct str line)
{
    if (changes->fd >= 0 && !changes->is_unsaved && write_all(changes->fd, line)) {
        changes->size += (off_t)line.len;
        changes->is_unsynced = true;
        return;
    }
    rewrite(changes);
}

/* --- reading */

static bool read_head(struct changes *changes, const json_t *json)
{
    const char *journal = json_string_value(json_object_get(json, "journal"));

    if (!journal || strlen(journal) != CHANGES_ID)
        return false;
    memcpy(changes->journal, journal, CHANGES_ID);
    changes->newest = json_integer_value(json_object_get(json, "newest"));
    return true;
}

/* False: from here on it is damaged. */
static bool read_line(struct changes *changes, struct str line, bool is_head)
{
    json_t *json = json_loadb(line.p, line.len, JSON_REJECT_DUPLICATES, NULL);
    int64_t seq = json_integer_value(json_object_get(json, "seq"));
    bool is_good = json && (is_head ? read_head(changes, json) : seq > 0);

    // Those that the head counts already stand behind it after the file was written anew.
    if (is_good && !is_head) {
        int64_t newest = changes->newest > seq ? changes->newest : seq;

        is_good = add(changes, seq, line);
        changes->newest = newest;
    }
    json_decref(json);
    return is_good;
}

/* How many bytes of it are good. */
static size_t read_lines(struct changes *changes, struct str text)
{
    size_t at = 0;

    while (at < text.len) {
        const char *end = memchr(text.p + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.p) + 1 - at : 0;

        if (!end || !read_line(changes, (struct str){text.p + at, len}, at == 0))
            return at;
        at += len;
    }
    return at;
}

static bool make_journal(struct changes *changes)
{
    unsigned char bytes[CHANGES_ID / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return false;
    *text_hex_bytes(changes->journal, bytes, sizeof(bytes)) = '\0';
    changes->newest = 0;
    return true;
}

static void clear(struct changes *changes)
{
    while (changes->first)
        drop_first(changes);
}

/* False: there is no journal yet, or none any more. */
static bool load(struct changes *changes)
{
    struct arena arena;
    struct str text;
    enum status status;
    size_t good = 0;

    clear(changes);
    arena_init(&arena, NULL, 0);
    status = file_read(changes->path, &arena, &text);
    if (!status)
        good = read_lines(changes, text);
    if (!status && good < text.len)
        snprintf(changes->error, sizeof(changes->error),
                 "%s is damaged: what follows byte %zu is lost", changes->path, good);
    changes->is_unsaved = !good || good < text.len;
    changes->size = status ? 0 : (off_t)text.len;
    arena_reset(&arena);
    return good > 0;
}

/* While an upgrade runs, the edge before this one may still note something, or this one may have
 * written the file anew. */
static void catch_up(struct changes *changes)
{
    struct stat there, ours;

    if ((changes->is_unsaved && changes->first) || stat(changes->path, &there) ||
        (changes->fd >= 0 && !fstat(changes->fd, &ours) && there.st_ino == ours.st_ino &&
         there.st_size == changes->size))
        return;
    if (!load(changes))
        return;
    int fd = open(changes->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0)
        take_fd(changes, fd);
    else
        changes->is_unsaved = true;
}

/* --- life */

struct changes *changes_open(const char *state_dir, const char **error)
{
    struct changes *changes = calloc(1, sizeof(*changes));

    *error = NULL;
    if (!changes)
        return NULL;
    changes->fd = -1;
    changes->last = &changes->first;
    snprintf(changes->path, sizeof(changes->path), "%s/changes.jsonl", state_dir);
    if (!load(changes) && !make_journal(changes)) {
        free(changes);
        return NULL;
    }
    if (!changes->is_unsaved) {
        changes->fd = open(changes->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        changes->is_unsaved = changes->fd < 0;
    }
    *error = *changes->error ? changes->error : NULL;
    return changes;
}

void changes_close(struct changes **changes)
{
    struct changes *gone = *changes;

    *changes = NULL;
    if (!gone)
        return;
    clear(gone);
    if (gone->fd >= 0)
        close(gone->fd);
    free(gone);
}

void changes_tick(struct changes *changes)
{
    if (changes->is_unsaved && changes->first)
        rewrite(changes);
    else
        catch_up(changes);
}

int changes_unsynced(struct changes *changes)
{
    if (!changes->is_unsynced || changes->fd < 0)
        return -1;
    changes->is_unsynced = false;
    // Not a copy of ours: a thread sanitizer sees none made by fcntl().
    return open(changes->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* --- changes */

static char *write_line(json_t *change)
{
    char *text = json_dumps(change, JSON_COMPACT);

    if (text && strlen(text) > CHANGES_ENTRY) {
        free(text);
        json_object_set_new(change, "before", json_null());
        json_object_set_new(change, "after", json_null());
        text = json_dumps(change, JSON_COMPACT);
    }
    return text;
}

void changes_note(struct changes *changes, json_t *change)
{
    char *text, *line = NULL;
    int len = -1;

    catch_up(changes);
    json_object_set_new(change, "seq", json_integer(changes->newest + 1));
    text = write_line(change);
    json_decref(change);
    if (text)
        len = asprintf(&line, "%s\n", text);
    free(text);
    if (len < 0 || !add(changes, changes->newest + 1, (struct str){line, (size_t)len})) {
        changes->newest++; // the gap says that there was one
        fprintf(stderr, "sluice: edge: out of memory: a change is missed in the ledger\n");
    } else {
        append(changes, (struct str){line, (size_t)len});
    }
    if (len >= 0)
        free(line);
    if (changes->bytes <= CHANGES_BYTES)
        return;
    fprintf(stderr, "sluice: edge: control has been away for too long: the oldest changes that it "
                    "does not know go\n");
    while (changes->bytes > CHANGES_BYTES / 2)
        drop_first(changes);
    rewrite(changes);
}

static bool is_ours(const struct changes *changes, struct str journal)
{
    return str_same(journal, (struct str){changes->journal, CHANGES_ID});
}

void changes_acknowledge(struct changes *changes, struct str journal, int64_t seq)
{
    size_t before = changes->bytes;

    if (!is_ours(changes, journal))
        return;
    while (changes->first && changes->first->seq <= seq)
        drop_first(changes);
    if (before != changes->bytes && (!changes->first || changes->size > DEAD_BYTES))
        rewrite(changes);
}

bool changes_wait(struct changes *changes, struct str journal, int64_t seq)
{
    return changes->first && (!is_ours(changes, journal) || changes->newest > seq);
}

json_t *changes_after(struct changes *changes, struct str journal, int64_t seq)
{
    json_t *list = json_array();
    bool has_more = false;

    if (!is_ours(changes, journal))
        seq = 0;
    for (const struct entry *entry = changes->first; entry; entry = entry->next) {
        if (entry->seq <= seq)
            continue;
        has_more = json_array_size(list) == PAGE;
        if (has_more)
            break;
        json_array_append_new(list, json_loadb(entry->line, entry->len, 0, NULL));
    }
    return json_pack("{s:s,s:o,s:b}", "journal", changes->journal, "changes", list, "more",
                     has_more);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/user_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/file.h"
#include "edge/auth/cell.h"
#include "edge/auth/password.h"

/* What tells one state of the file from another; all zero: it is not there. */
struct mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
};

/* A list with its memory. */
struct held_list {
    struct user_list list; /* first */
    struct arena arena;
};

struct user_file {
    struct cell lists;      /* of struct held_list */
    struct mark read, seen; /* before it was read last; at the last look */
    uint32_t count;         /* atomic: of the newest list */
    bool is_unread;         /* at the last try it could not be read, which was said */
    char path[];
};

static struct mark mark_of(const char *path)
{
    struct mark mark;
    struct stat file;

    memset(&mark, 0, sizeof(mark)); // compared as bytes
    if (stat(path, &file))
        return mark;
    mark.device = file.st_dev;
    mark.inode = file.st_ino;
    mark.size = file.st_size;
    mark.written = file.st_mtim;
    mark.changed = file.st_ctim;
    return mark;
}

static void free_list(void *list)
{
    struct held_list *held = list;

    if (held)
        arena_reset(&held->arena);
    free(held);
}

/* --- lines */

const char *user_name_wrong(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f || name.p[i] == ':')
            return "a user's name has no colon and no control characters";
    if (!name.len || name.len > PASSWORD_MAX)
        return "a user's name has 1 to 256 bytes";
    return NULL;
}

const char *user_hash_wrong(struct str hash)
{
    static const struct {
        struct str prefix;
        const char *words;
    } methods[] = {
        {STR_INIT("$apr1$"), "it is apr1 (MD5), which is too weak"},
        {STR_INIT("$1$"), "it is MD5, which is too weak"},
        {STR_INIT("{SHA}"), "it is SHA-1 without a salt, which is too weak"},
    };
    const char *wrong = password_hash_wrong(hash);

    for (size_t i = 0; wrong && i < ARRAY_LEN(methods); i++)
        if (hash.len >= methods[i].prefix.len &&
            !memcmp(hash.p, methods[i].prefix.p, methods[i].prefix.len))
            return methods[i].words;
    if (wrong && (!hash.len || hash.p[0] != '$'))
        return "it is plain text, or of a method that is too weak";
    return wrong;
}

static struct str next_line(struct str *rest)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    struct str line = {rest->p, end ? (size_t)(end - rest->p) : rest->len};

    *rest = (struct str){rest->p + line.len + (end != NULL), rest->len - line.len - (end != NULL)};
    while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' '))
        line.len--;
    return line;
}

/* NAME:HASH, and behind another colon what is nobody's business. NULL: it is one. */
static const char *read_user(struct str line, struct user *user)
{
    const char *colon = memchr(line.p, ':', line.len), *end;
    const char *wrong;

    if (!colon)
        return "this is not NAME:HASH";
    user->name = (struct str){line.p, (size_t)(colon - line.p)};
    user->hash = (struct str){colon + 1, line.len - user->name.len - 1};
    end = user->hash.len ? memchr(user->hash.p, ':', user->hash.len) : NULL;
    if (end)
        user->hash.len = (size_t)(end - user->hash.p);
    wrong = user_name_wrong(user->name);
    return wrong ? wrong : user_hash_wrong(user->hash);
}

static int compare(const void *a, const void *b)
{
    const struct user *first = a, *second = b;
    size_t len = first->name.len < second->name.len ? first->name.len : second->name.len;
    int order = memcmp(first->name.p, second->name.p, len);

    return order ? order
                 : (first->name.len > second->name.len) - (first->name.len < second->name.len);
}

static size_t count_lines(struct str text)
{
    size_t count = 1;

    for (size_t i = 0; i < text.len; i++)
        count += text.p[i] == '\n';
    return count;
}

/* --- the whole file */

/* False with words; a hash is in none of them. */
static bool read_lines(struct held_list *held, struct str text, const char *path, char *error)
{
    struct user_list *list = &held->list;
    unsigned number = 0;

    list->users = arena_zero(&held->arena, count_lines(text), sizeof(*list->users));
    if (!list->users) {
        snprintf(error, USER_FILE_ERROR, "%.300s: out of memory", path);
        return false;
    }
    while (text.len) {
        struct str line = next_line(&text);
        const char *wrong;

        number++;
        if (!line.len || line.p[0] == '#')
            continue;
        wrong = read_user(line, &list->users[list->count++]);
        if (!wrong)
            continue;
        snprintf(error, USER_FILE_ERROR,
                 "%.300s:%u: %s; \"htpasswd -B\" and \"mkpasswd\" make good ones", path, number,
                 wrong);
        return false;
    }
    return true;
}

static bool is_unique(const struct user_list *list, const char *path, char *error)
{
    for (uint32_t i = 1; i < list->count; i++)
        if (!compare(&list->users[i - 1], &list->users[i])) {
            snprintf(error, USER_FILE_ERROR, "%.300s: the user \"%.*s\" is there twice", path,
                     STR_FMT(list->users[i].name));
            return false;
        }
    return true;
}

static bool read_text(const char *path, struct arena *arena, struct str *text, char *error)
{
    const char *wrong = NULL;
    struct stat file;

    if (stat(path, &file))
        wrong = strerror(errno);
    else if (!S_ISREG(file.st_mode))
        wrong = "it is not a file";
    else if (file.st_size > USER_FILE_BYTES_MAX)
        wrong = "it is larger than 8 MiB";
    else if (file_read(path, arena, text))
        wrong = strerror(errno);
    if (wrong)
        snprintf(error, USER_FILE_ERROR, "%.300s: cannot be read: %s", path, wrong);
    return !wrong;
}

/* *is_read false: the fault may be none of the file's. */
static struct held_list *read_list(const char *path, char error[USER_FILE_ERROR], bool *is_read)
{
    struct held_list *held = calloc(1, sizeof(*held));
    struct str text = STR("");

    *is_read = false;
    if (!held) {
        snprintf(error, USER_FILE_ERROR, "out of memory");
        return NULL;
    }
    arena_init(&held->arena, NULL, 0);
    *is_read = read_text(path, &held->arena, &text, error);
    if (*is_read && read_lines(held, text, path, error)) {
        qsort(held->list.users, held->list.count, sizeof(*held->list.users), compare);
        if (is_unique(&held->list, path, error))
            return held;
    }
    free_list(held);
    return NULL;
}

/* --- life */

struct user_file *user_file_open(struct str path, unsigned workers, char error[USER_FILE_ERROR])
{
    struct user_file *file = calloc(1, sizeof(*file) + path.len + 1);
    struct held_list *held;
    bool is_read;

    snprintf(error, USER_FILE_ERROR, "out of memory");
    if (!file)
        return NULL;
    memcpy(file->path, path.p, path.len);
    file->read = file->seen = mark_of(file->path);
    held = read_list(file->path, error, &is_read);
    if (held && !held->list.count) {
        snprintf(error, USER_FILE_ERROR, "%.300s: there are no users in it", file->path);
        free_list(held);
        held = NULL;
    }
    if (held && !cell_init(&file->lists, workers, free_list)) {
        file->count = held->list.count;
        cell_write(&file->lists, held);
        return file;
    }
    free_list(held);
    free(file);
    return NULL;
}

void user_file_free(struct user_file **file)
{
    if (*file)
        cell_fini(&(*file)->lists);
    free(*file);
    *file = NULL;
}

/* False: it could not be read, and is to be tried again. */
static bool read_again(struct user_file *file)
{
    char error[USER_FILE_ERROR];
    bool was_unread = file->is_unread, is_read;
    struct held_list *held = read_list(file->path, error, &is_read);

    file->is_unread = !is_read;
    if (!is_read && was_unread)
        return false;
    if (!held) {
        fprintf(stderr, "sluice: edge: %s; the users that were read before stay\n", error);
        return is_read;
    }
    fprintf(stderr, "sluice: edge: %s was read again: %u users\n", file->path, held->list.count);
    __atomic_store_n(&file->count, held->list.count, __ATOMIC_RELAXED);
    cell_write(&file->lists, held);
    return true;
}

void user_file_look(struct user_file *file)
{
    struct mark now = mark_of(file->path);

    if (memcmp(&now, &file->read, sizeof(now)) != 0 && !memcmp(&now, &file->seen, sizeof(now)) &&
        read_again(file))
        file->read = now; // as it was before: what was written meanwhile is another change
    file->seen = now;
}

/* --- users */

uint32_t user_file_count(const struct user_file *file)
{
    return __atomic_load_n(&file->count, __ATOMIC_RELAXED);
}

const struct user_list *user_file_users(struct user_file *file, unsigned worker)
{
    return cell_read(&file->lists, worker);
}

const struct user *user_list_find(const struct user_list *list, struct str name)
{
    const struct user wanted = {.name = name};

    if (!name.len)
        return NULL;
    return bsearch(&wanted, list->users, list->count, sizeof(wanted), compare);
}

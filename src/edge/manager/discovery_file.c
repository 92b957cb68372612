/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/discovery_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/file_mark.h"

enum { LOOK_MS = 1000, SETTLE_MS = 100, SETTLE_LOOKS_MAX = 10 };

struct discovery_file {
    uv_fs_event_t folder;
    uv_timer_t timer;
    uv_work_t work;
    unsigned holds; /* handles that are open, and the work while it runs */
    bool is_reading, is_closed;
    discovery_file_read *on_read;
    void *owner;
    struct file_mark seen, read; /* at the last look; before it was read last */
    unsigned looks;              /* since it began to change */
    /* the work's */
    struct arena arena;
    struct found_list *list;
    const char *problem;
    char path[PATH_MAX];
};

static const char *name_of(const struct discovery_file *file)
{
    const char *slash = strrchr(file->path, '/');

    return slash ? slash + 1 : file->path;
}

static void let_go(struct discovery_file *file)
{
    if (--file->holds)
        return;
    found_list_unref(&file->list);
    arena_reset(&file->arena);
    free(file);
}

/* --- reading, on a thread of the pool */

static const char *words_of(struct arena *arena, const struct diag *diag)
{
    const struct diag_entry *first = diag->entries;
    struct str place, text;

    while (first < diag->entries + diag->count && first->severity != SEVERITY_ERROR)
        first++;
    if (first == diag->entries + diag->count)
        return "out of memory";
    place = diag_place(diag, first->at);
    text = arena_format(arena, "%.*s%s%.*s", STR_FMT(place), place.len ? ": " : "",
                        STR_FMT(first->text));
    return text.p ? text.p : "out of memory";
}

static const char *read_text(struct discovery_file *file, struct str *text)
{
    struct stat st;
    const char *wrong = NULL;

    if (stat(file->path, &st))
        wrong = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        wrong = "it is not a file";
    else if (st.st_size > CONF_TARGETS_BYTES_MAX)
        wrong = "it is larger than 16 MiB";
    else if (file_read(file->path, &file->arena, text))
        wrong = strerror(errno);
    if (!wrong)
        return NULL;
    *text = arena_format(&file->arena, "cannot read \"%s\": %s", file->path, wrong);
    return text->p ? text->p : "out of memory";
}

static void on_work(uv_work_t *work)
{
    struct discovery_file *file = work->data;
    const struct conf_target_list *list;
    struct str text;
    struct diag diag;

    file->problem = read_text(file, &text);
    if (file->problem)
        return;
    diag_init(&diag, &file->arena);
    list = conf_targets_parse(text, file->path, &file->arena, &diag);
    if (list)
        file->list = found_list_new(list->items, list->count);
    if (!file->list)
        file->problem = words_of(&file->arena, &diag);
}

static void on_done(uv_work_t *work, int cancelled)
{
    struct discovery_file *file = work->data;

    file->is_reading = false;
    if (!cancelled && !file->is_closed)
        file->on_read(file->owner, file->list, file->problem);
    found_list_unref(&file->list);
    arena_reset(&file->arena);
    let_go(file);
}

static void begin_reading(struct discovery_file *file)
{
    file->problem = NULL;
    file->work.data = file;
    if (uv_queue_work(file->timer.loop, &file->work, on_work, on_done))
        return;
    file->is_reading = true;
    file->holds++;
}

/* --- looking */

static void on_event(uv_fs_event_t *event, const char *name, int events, int failed);

/* A folder that is not there, or no longer the same, is left to the looks. */
static void watch_folder(struct discovery_file *file)
{
    char folder[PATH_MAX];
    char *slash;

    if (uv_is_active((uv_handle_t *)&file->folder))
        return;
    snprintf(folder, sizeof(folder), "%s", file->path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    uv_fs_event_start(&file->folder, on_event, slash ? folder : ".", 0);
}

static void look(uv_timer_t *timer)
{
    struct discovery_file *file = timer->data;
    struct file_mark now = file_mark_of(file->path);
    bool is_quiet = file_mark_same(&now, &file->seen) || ++file->looks > SETTLE_LOOKS_MAX;

    watch_folder(file);
    file->seen = now;
    if (!file_mark_same(&now, &file->read) && is_quiet && !file->is_reading) {
        file->read = now;
        begin_reading(file);
    }
    if (!file_mark_same(&now, &file->read)) {
        uv_timer_start(timer, look, SETTLE_MS, 0);
        return;
    }
    file->looks = 0;
    uv_timer_start(timer, look, LOOK_MS, 0);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int failed)
{
    struct discovery_file *file = event->data;
    bool is_settling = !file_mark_same(&file->seen, &file->read);

    (void)events;
    if (failed) {
        uv_fs_event_stop(event);
        return;
    }
    if (!is_settling && (!name || !strcmp(name, name_of(file))))
        uv_timer_start(&file->timer, look, 0, 0);
}

/* --- life */

struct discovery_file *discovery_file_watch(uv_loop_t *loop, const char *path,
                                            discovery_file_read *on_read, void *owner)
{
    struct discovery_file *file = calloc(1, sizeof(*file));

    if (!file)
        return NULL;
    snprintf(file->path, sizeof(file->path), "%s", path);
    file->on_read = on_read;
    file->owner = owner;
    arena_init(&file->arena, NULL, 0);
    uv_fs_event_init(loop, &file->folder);
    uv_timer_init(loop, &file->timer);
    file->folder.data = file->timer.data = file;
    file->holds = 2;
    file->seen = file->read = file_mark_of(file->path);
    watch_folder(file);
    begin_reading(file);
    uv_timer_start(&file->timer, look, LOOK_MS, 0);
    return file;
}

static void on_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void discovery_file_unwatch(struct discovery_file **file)
{
    struct discovery_file *gone = *file;

    *file = NULL;
    if (!gone)
        return;
    gone->is_closed = true;
    uv_close((uv_handle_t *)&gone->folder, on_closed);
    uv_close((uv_handle_t *)&gone->timer, on_closed);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_load and conf_parse, see conf.h: file -> tree -> expanded and merged -> decoded -> completed
 * -> checked.
 */
#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/conf_table.h"

/* Relative paths get the working directory in front; links stay, so that a watcher sees them
 * change. */
static struct str make_absolute(struct load *load, struct str path)
{
    char *cwd;
    struct str out;

    if (path.len && path.p[0] == '/')
        return arena_copy(load->arena, path);
    cwd = getcwd(NULL, 0);
    out = arena_format(load->arena, "%s/%.*s", cwd ? cwd : ".", STR_FMT(path));
    free(cwd);
    return out;
}

static const char *remember(struct load *load, struct str path, const struct stat *st)
{
    struct load_file *file = &load->files[load->file_count];

    if (!S_ISREG(st->st_mode))
        return "not a regular file";
    if (st->st_size > LOAD_BYTES_MAX)
        return "larger than 16 MiB";
    if (load->file_count == LOAD_FILES_MAX)
        return "more than 100 files";
    for (uint32_t i = 0; i < load->file_count; i++)
        if (load->files[i].device == st->st_dev && load->files[i].inode == st->st_ino)
            return "it is already part of this configuration";
    *file = (struct load_file){make_absolute(load, path), st->st_dev, st->st_ino};
    load->file_count++;
    return file->path.p ? NULL : "out of memory";
}

static const char *read_whole(int fd, size_t size, char *buf, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, buf + *len, size - *len);
        if (n < 0)
            return strerror(errno);
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return *len > LOAD_BYTES_MAX ? "larger than 16 MiB" : NULL;
}

static struct str without_bom(struct str text)
{
    if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        return (struct str){text.p + 3, text.len - 3};
    return text;
}

/* NULL is good; else why the file cannot be had. */
static const char *read_file(struct load *load, struct str path, const struct source **source)
{
    int fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *wrong = NULL;
    struct str text;
    struct stat st;
    char *buf = NULL;

    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) != 0) {
        wrong = strerror(errno);
        goto out;
    }
    wrong = remember(load, path, &st);
    if (wrong)
        goto out;
    buf = arena_text(&load->scratch, (size_t)st.st_size + 1);
    wrong = buf ? read_whole(fd, (size_t)st.st_size + 1, buf, &text.len) : "out of memory";
    if (wrong)
        goto out;
    text.p = buf;
    *source = diag_source(load->diag, path, without_bom(text));
    wrong = *source ? NULL : "out of memory";
out:
    close(fd);
    return wrong;
}

static struct node *read_tree(struct load *load, const struct source *source)
{
    struct node *root = yaml_read(source, &load->scratch, load->diag);

    if (!root || root->is_broken)
        return NULL;
    if (root->kind == NODE_SCALAR && tree_is_null(root)) {
        root->kind = NODE_MAP;
        root->child.first = root->child.last = NULL;
    }
    if (root->kind != NODE_MAP) {
        diag_error(load->diag, tree_span(root), "a configuration is a map of keys, not %s",
                   tree_noun(root));
        return NULL;
    }
    expand_tree(root, load->world, &load->scratch, load->diag);
    return root;
}

struct node *load_file(struct load *load, struct str path, struct span at)
{
    const struct source *source = NULL;
    const char *wrong = read_file(load, path, &source);
    struct node *root;

    if (wrong) {
        diag_error(load->diag, at, "cannot read \"%s\": %s", path.p, wrong);
        return NULL;
    }
    root = read_tree(load, source);
    if (root)
        include_files(load, root, path);
    return root;
}

static struct conf *decode(struct load *load, const struct node *root)
{
    struct decoder decoder = {.arena = load->arena, .diag = load->diag, .world = load->world};
    unsigned errors = load->diag->errors;

    decoder.at = (struct span){root->source, 0, 0};
    decoder.conf = arena_zero(load->arena, 1, sizeof(*decoder.conf));
    if (!decoder.conf)
        return NULL;
    field_decode(&decoder, conf_root_fields, root, decoder.conf);
    if (load->diag->errors == errors)
        conf_complete(&decoder);
    conf_check(&decoder);
    return decoder.conf;
}

static bool keep_files(struct load *load, struct conf *conf)
{
    conf->files = arena_zero(load->arena, load->file_count, sizeof(*conf->files));
    if (!conf->files)
        return false;
    for (uint32_t i = 0; i < load->file_count; i++)
        conf->files[i] = load->files[i].path;
    conf->file_count = load->file_count;
    return true;
}

/* Decodes what was read, and gives the trees back. */
static const struct conf *finish(struct load *load, const struct node *root, unsigned errors)
{
    struct conf *conf = root ? decode(load, root) : NULL;

    if (root && (!conf || load->arena->is_full || !keep_files(load, conf)))
        diag_error(load->diag, (struct span){0}, "out of memory");
    arena_reset(&load->scratch);
    diag_sort(load->diag);
    return load->diag->errors == errors ? conf : NULL;
}

const struct conf *conf_load(const char *path, const struct conf_world *world, struct arena *arena,
                             struct diag *diag)
{
    struct load load = {.world = world, .arena = arena, .diag = diag};
    unsigned errors = diag->errors;
    struct node *root;

    arena_init(&load.scratch, NULL, 0);
    root = load_file(&load, (struct str){path, strlen(path)}, (struct span){0});
    return finish(&load, root, errors);
}

const struct conf *conf_parse(struct str text, const char *name, const struct conf_world *world,
                              struct arena *arena, struct diag *diag)
{
    struct load load = {.world = world, .arena = arena, .diag = diag};
    unsigned errors = diag->errors;
    const struct source *source = NULL;
    struct node *root, *include;

    arena_init(&load.scratch, NULL, 0);
    if (text.len > LOAD_BYTES_MAX)
        diag_error(diag, (struct span){0}, "%s is larger than 16 MiB", name);
    else
        source = diag_source(diag, (struct str){name, strlen(name)}, without_bom(text));
    root = source ? read_tree(&load, source) : NULL;
    include = root ? tree_get(root, STR("include")) : NULL;
    if (include)
        diag_error(diag, tree_span(include), "\"include\" is possible in a file only");
    return finish(&load, root, errors);
}

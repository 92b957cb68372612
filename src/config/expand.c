/* SPDX-License-Identifier: Apache-2.0
 *
 * ${env:NAME} and ${file:/path} in values, $${ for a plain ${. Called by load.c on each parsed
 * file. What comes from outside is never printed: the node is marked. ${path} and the like, without
 * a colon, are left to who reads them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/conf.h"
#include "config/tree.h"

enum { VALUE_MAX = 64 * 1024, NAME_LEN_MAX = 4096 };

struct expander {
    const struct conf_world *world;
    struct arena *arena;
    struct diag *diag;
    struct node *node;
    struct str out;
    size_t room;
};

static bool put(struct expander *e, struct str s)
{
    if (s.len > e->room - e->out.len) {
        size_t room = (e->out.len + s.len) * 2 + 64;
        char *p = arena_text(e->arena, room);
        if (!p)
            return false;
        if (e->out.len)
            memcpy(p, e->out.p, e->out.len);
        e->out.p = p;
        e->room = room;
    }
    if (s.len)
        memcpy((char *)e->out.p + e->out.len, s.p, s.len);
    e->out.len += s.len;
    return true;
}

static bool wrong(struct expander *e, const char *text, struct str name)
{
    diag_error(e->diag, tree_span(e->node), "%s \"%.*s\"", text, STR_FMT(name));
    return false;
}

static bool put_env(struct expander *e, struct str name)
{
    struct str copy = arena_copy(e->arena, name);
    const char *value = NULL;

    if (copy.p && e->world->env)
        value = e->world->env(e->world->env_owner, copy.p);
    if (!value)
        return wrong(e, "there is no environment variable", name);
    return put(e, (struct str){value, strlen(value)});
}

/* The whole of a small regular file, without its last line end. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;
    struct stat st;
    ssize_t n = -1;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        errno = EINVAL;
        goto out;
    }
    while (len < size && (n = read(fd, buf + len, size - len)) > 0)
        len += (size_t)n;
out:
    close(fd);
    return n < 0 ? -1 : (ssize_t)len;
}

static bool put_file(struct expander *e, struct str name)
{
    struct str path = arena_copy(e->arena, name);
    char *buf = arena_text(e->arena, VALUE_MAX + 1);
    ssize_t len;

    if (!path.p || !buf)
        return wrong(e, "out of memory for", name);
    len = read_small(path.p, buf, VALUE_MAX + 1);
    if (len < 0) {
        diag_error(e->diag, tree_span(e->node), "cannot read \"%s\": %s", path.p,
                   errno == EINVAL ? "not a regular file" : strerror(errno));
        return false;
    }
    if (len > VALUE_MAX)
        return wrong(e, "more than 64 KiB in", name);
    if (memchr(buf, '\0', (size_t)len))
        return wrong(e, "a NUL character in", name);
    if (len > 0 && buf[len - 1] == '\n')
        len--;
    if (len > 0 && buf[len - 1] == '\r')
        len--;
    return put(e, (struct str){buf, (size_t)len});
}

static bool starts(struct str s, const char *word)
{
    size_t len = strlen(word);

    return s.len >= len && memcmp(s.p, word, len) == 0;
}

/* What stands between the braces; without a colon it is not ours. */
static bool put_reference(struct expander *e, struct str whole, struct str inner)
{
    const char *colon = memchr(inner.p, ':', inner.len);
    struct str name;

    if (!colon)
        return put(e, whole);
    name = (struct str){colon + 1, inner.len - (size_t)(colon + 1 - inner.p)};
    e->node->is_secret = true;
    if (!name.len || name.len > NAME_LEN_MAX)
        return wrong(e, "no name in", whole);
    if (starts(inner, "env:"))
        return put_env(e, name);
    if (starts(inner, "file:"))
        return put_file(e, name);
    e->node->is_secret = false;
    wrong(e, "unknown reference", whole);
    diag_hint(e->diag, "there are ${env:NAME} and ${file:/path}; $${ is a plain ${");
    return false;
}

static bool expand_text(struct expander *e, struct str text)
{
    while (text.len) {
        const char *dollar = memmem(text.p, text.len, "${", 2), *brace;
        size_t before = dollar ? (size_t)(dollar - text.p) : text.len;
        if (dollar && before && dollar[-1] == '$') {
            if (!put(e, (struct str){text.p, before - 1}) || !put(e, STR("${")))
                return false;
            text = (struct str){dollar + 2, text.len - before - 2};
            continue;
        }
        if (!put(e, (struct str){text.p, before}))
            return false;
        text = (struct str){text.p + before, text.len - before};
        if (!dollar)
            break;
        brace = memchr(text.p, '}', text.len);
        if (!brace)
            return put(e, text);
        before = (size_t)(brace - text.p);
        if (!put_reference(e, (struct str){text.p, before + 1},
                           (struct str){text.p + 2, before - 2}))
            return false;
        text = (struct str){brace + 1, text.len - before - 1};
    }
    return true;
}

static void expand_scalar(struct expander *e, struct node *node)
{
    if (!memmem(node->text.p, node->text.len, "${", 2))
        return;
    e->node = node;
    e->out = STR("");
    e->room = 0;
    if (expand_text(e, node->text))
        node->text = e->out;
    else
        node->is_broken = true;
}

/* Recursion is bounded by TREE_DEPTH_MAX. */
static void expand_node(struct expander *e, struct node *node)
{
    struct node *child;

    if (node->kind == NODE_SCALAR) {
        if (!node->is_broken && !node->is_secret)
            expand_scalar(e, node);
        return;
    }
    child = node->child.first;
    while (child) {
        if (node->kind == NODE_MAP)
            child = child->next;
        expand_node(e, child);
        child = child->next;
    }
}

/* All below is as if it came from outside: never printed. */
static void keep_node(struct node *node)
{
    node->is_secret = true;
    if (node->kind != NODE_SCALAR)
        for (struct node *child = node->child.first; child; child = child->next)
            keep_node(child);
}

static struct node *map_at(const struct node *map, struct str key)
{
    struct node *value = map && map->kind == NODE_MAP ? tree_get(map, key) : NULL;

    return value && value->kind == NODE_MAP ? value : NULL;
}

/* `backup` of `control`, where nobody makes one. */
static void expand_control(struct expander *e, struct node *control)
{
    for (struct node *key = control->child.first; key; key = key->next->next)
        if (!e->world->expands_control && str_same(key->text, STR("backup")))
            keep_node(key->next);
        else
            expand_node(e, key->next);
}

/* `headers` of `traces`, where no spans are sent. */
static void expand_traces(struct expander *e, struct node *traces)
{
    for (struct node *key = traces->child.first; key; key = key->next->next)
        if (!e->world->expands_control && str_same(key->text, STR("headers")))
            keep_node(key->next);
        else
            expand_node(e, key->next);
}

/* Only what speaks to platforms needs their tokens. */
static void keep_tokens(const struct expander *e, struct node *provider)
{
    if (e->world->expands_control || !provider)
        return;
    for (struct node *key = provider->child.first; key; key = key->next->next) {
        struct node *platform = key->next;
        struct node *token = platform->kind == NODE_MAP ? tree_get(platform, STR("token")) : NULL;

        if (token && token->kind == NODE_SCALAR)
            token->is_secret = true;
    }
}

/* What the world does not need stays as it is written: it is taken out of the way meanwhile. */
static void expand_service(struct expander *e, struct node *service)
{
    struct node *provider = map_at(service, STR("provider"));
    const struct node *process = map_at(provider, STR("process"));
    struct node *env = e->world->expands_process_env ? NULL : map_at(process, STR("env")), *first;

    keep_tokens(e, provider);
    if (!env) {
        expand_node(e, service);
        return;
    }
    first = env->child.first;
    env->child.first = NULL;
    expand_node(e, service);
    env->child.first = first;
    keep_node(env);
}

void expand_tree(struct node *node, const struct conf_world *world, struct arena *arena,
                 struct diag *diag)
{
    struct expander e = {.world = world, .arena = arena, .diag = diag};

    for (struct node *key = node->child.first; key; key = key->next->next) {
        struct node *value = key->next;

        if (value->kind == NODE_MAP && str_same(key->text, STR("control"))) {
            expand_control(&e, value);
            continue;
        }
        if (value->kind == NODE_MAP && str_same(key->text, STR("traces"))) {
            expand_traces(&e, value);
            continue;
        }
        if (!world->expands_control && str_same(key->text, STR("notices"))) {
            keep_node(value);
            continue;
        }
        if (value->kind != NODE_MAP || !str_same(key->text, STR("services"))) {
            expand_node(&e, value);
            continue;
        }
        for (struct node *name = value->child.first; name; name = name->next->next)
            expand_service(&e, name->next);
    }
}

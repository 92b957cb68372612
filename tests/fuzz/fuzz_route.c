/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver of the routes: any bytes that are a valid request head, against a table with every
 * kind of condition and deed. Checks: the path as routes see it is in normal form, a request and
 * its normal form take the same route, what explains a match agrees with it, and neither the path
 * sent on nor a Location holds what its field may not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/route/path.h"
#include "edge/route/route.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUTES_MAX = 64 };

static const char file[] =
    "services: {a: {targets: ['127.0.0.1:1']}, b: {targets: ['127.0.0.1:2']}}\n"
    "routes:\n"
    "- {hosts: [a.com], paths: [/admin], respond: {status: 403}}\n"
    "- {hosts: [a.com], paths: [/admin/*], methods: [POST], service: b}\n"
    "- {hosts: [a.com], paths: [/v1/*, /v1/a/b], service: a, rewrite: {strip_prefix: /v1}}\n"
    "- {hosts: [a.com], paths: [/v1/a/*], headers: {x-a: '1'}, service: b}\n"
    "- {hosts: ['*.a.com'], service: a, rewrite: {add_prefix: /w}}\n"
    "- {hosts: ['*.b.a.com'], query: {k: '1', l: '*'}, redirect: {to: '${path}?${query}'}}\n"
    "- {hosts: [b.com], paths: [/*], redirect: {to: '${scheme}://${host}/x${uri}', status: 307}}\n"
    "- {paths: ['~^/u/([0-9a-z]+)/(.*)$'], service: a,\n"
    "   rewrite: {regex: '^/u/([^/]+)/(.*)$', replace: '$2/$1$$'}}\n"
    "- {paths: [/only], methods: [GET, HEAD], service: b}\n"
    "- {headers: {x-b: '*'}, service: b, rewrite: {strip_prefix: /a/, add_prefix: /c/}}\n";

static const struct wire_limits limits = {.header_bytes = 2048, .uri_bytes = 1024, .headers = 16};

struct run {
    struct arena arena;
    const struct conf *conf;
    struct route_table *table;
};

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

static bool holds(struct str text, const char *part)
{
    return memmem(text.p, text.len, part, strlen(part)) != NULL;
}

static bool ends(struct str text, const char *part)
{
    size_t n = strlen(part);

    return text.len >= n && memcmp(text.p + text.len - n, part, n) == 0;
}

static void check_clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        require((unsigned char)text.p[i] > ' ' && text.p[i] != 0x7f, "no blank, no control");
}

/* The path as routes see it. */
static struct str check_view(struct str path, struct arena *arena)
{
    static const char *const dots[] = {"//", "/./", "/../"};
    static const char *const hidden[] = {"%2e", "%2E", "%61", "%7e", "%5F"};
    char buffer[ROUTE_PATH_MAX], again[ROUTE_PATH_MAX];
    struct str view = route_path_view(path, buffer);

    require(view.len <= path.len && view.p != NULL, "a path only becomes shorter");
    if (path.p[0] != '/')
        return path;
    require(view.len && view.p[0] == '/', "it begins with a slash");
    require(is_same(route_path_view(view, again), view), "a normal form stays");
    for (size_t i = 0; i < ARRAY_LEN(dots); i++)
        require(!holds(view, dots[i]), "no segment is left to be removed");
    require(!ends(view, "/.") && !ends(view, "/.."), "nor at the end");
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        require(!holds(view, hidden[i]), "nothing is encoded that need not be");
    return arena_copy(arena, view);
}

static void check_normal_form(struct run *run, struct head request, struct route_match match)
{
    struct route_match other;

    request.path = check_view(request.path, &run->arena);
    other = route_match(run->table, &request);
    require(other.route == match.route, "a path and its normal form take the same route");
    require(other.method_mismatch == match.method_mismatch, "or none for the same reason");
}

static void check_explained(struct run *run, const struct head *request, struct route_match match)
{
    struct route_explained out[ROUTES_MAX];
    uint32_t n = route_explain(run->table, request, &run->arena, out, ROUTES_MAX), i = 0;

    require(n <= run->conf->route_count, "each route is explained once");
    while (i < n && !out[i].fits)
        i++;
    require((i < n) == (match.route != NULL), "what explains agrees whether there is one");
    require(i == n || out[i].index == match.index, "and which");
}

static void check_deed(struct run *run, const struct head *request, struct route_match match)
{
    struct str text;

    if (match.route->redirect.is_set) {
        text = route_redirect(match.route, request, STR("https"), &run->arena);
        require(text.len > 0, "few parts make a Location");
        require(text.p[0] != '/' || text.len < 2 || (text.p[1] != '/' && text.p[1] != '\\'),
                "a path names no other host");
    } else {
        text = route_rewrite(run->table, match.index, request, &run->arena);
        require(text.len > 0, "a path is sent on");
        require(text.p[0] == '/' || request->path.p[0] != '/', "one that begins with a slash");
    }
    check_clean(text);
}

static void check(struct run *run, struct str in)
{
    struct head request;
    struct route_match match;
    size_t scanned = 0;

    in.len = h1_head_length(in, &scanned);
    in = arena_copy(&run->arena, in);
    if (!in.len || h1_parse_request(in, &limits, &run->arena, &request) != REASON_NONE)
        return;
    if (request.form == TARGET_AUTHORITY) // CONNECT, which is refused before
        return;
    match = route_match(run->table, &request);
    check_normal_form(run, request, match);
    check_explained(run, &request, match);
    if (match.route)
        check_deed(run, &request, match);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct filter *const filters[] = {NULL};
    const struct conf_world world = {.filters = filters};
    struct diag diag;
    struct run run;

    arena_init(&run.arena, NULL, 0);
    diag_init(&diag, &run.arena);
    run.conf = conf_parse(STR(file), "routes", &world, &run.arena, &diag);
    if (!run.conf)
        fprintf(stderr, "%.*s", STR_FMT(diag_report(&diag)));
    require(run.conf != NULL, "the configuration is good");
    run.table = route_table_new(run.conf, &run.arena, &diag);
    require(run.table != NULL, "and so is the table");
    check(&run, (struct str){(const char *)data, size});
    route_table_free(&run.table);
    arena_reset(&run.arena);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The table against a reference that tries every host and path of every route, on random tables and
 * requests, and route_explain() against both. The seed of a failure is printed.
 */
#include <stdio.h>

#include "base/random.h"
#include "test_route.h"

enum { TABLES = 400, REQUESTS = 100, ROUTES_MAX = 24, LINE_MAX_BYTES = 160 };

static const char *const host_words[] = {"a.com",   "b.a.com",   "c.b.a.com",
                                         "*.a.com", "*.b.a.com", "*.com"};
static const char *const names[] = {"a.com", "b.a.com", "c.b.a.com", "d.c.b.a.com",
                                    "x.com", "com",     "org",       "A.Com:80"};
static const char *const method_words[] = {"GET", "POST", "HEAD", "PURGE"};
static const char *const header_words[] = {"h:x=1", "h:x=2", "h:x=*", "h:y=1"};
static const char *const query_words[] = {"q:k=1", "q:k=*", "q:l=2"};
static const char *const patterns[] = {"~^/a", "~b$", "~/a/", "~^/(a|b)/"};
static const char *const fields[] = {"", "x=1", "X=2", "x=1 y=1", "x=2 x=1", "y=2"};
static const char *const queries[] = {"", "?k=1", "?k=2&l=2", "?l=%32&k=1", "?kk=1"};
static const char *const segments[] = {"/a", "/b", "/ab"};
static const char *const noise[] = {"", "", "", "", "/.", "/", "/b/..", "/%2e", "/a//%2E."};

#define PICK(words) (words)[random_below(seed, (uint32_t)ARRAY_LEN(words))]

static bool chance(uint64_t *seed, uint32_t percent)
{
    return random_below(seed, 100) < percent;
}

static void append(char *line, const char *space, const char *word)
{
    size_t n = strlen(line);

    assert_true(snprintf(line + n, LINE_MAX_BYTES - n, "%s%s", space, word) <
                (int)(LINE_MAX_BYTES - n));
}

static void random_path(uint64_t *seed, char *line)
{
    uint32_t depth = random_below(seed, 4);
    bool is_prefix = chance(seed, 50);

    if (chance(seed, 20)) {
        append(line, " ", PICK(patterns));
        return;
    }
    append(line, " ", depth || is_prefix ? "" : "/");
    for (uint32_t i = 0; i < depth; i++)
        append(line, "", PICK(segments));
    append(line, "", is_prefix ? "/*" : "");
}

static void random_route(uint64_t *seed, struct bench *bench)
{
    char line[LINE_MAX_BYTES] = "";

    for (uint32_t n = random_below(seed, 3); n; n--)
        append(line, " @", PICK(host_words));
    for (uint32_t n = random_below(seed, 4); n; n--)
        random_path(seed, line);
    if (chance(seed, 30))
        append(line, " ", PICK(method_words));
    if (chance(seed, 10))
        append(line, " ", PICK(method_words));
    for (uint32_t n = random_below(seed, 3) / 2 + random_below(seed, 3) / 2; n; n--)
        append(line, " ", PICK(header_words));
    if (chance(seed, 20))
        append(line, " ", PICK(query_words));
    bench_route(bench, line);
}

/* The reference. A smaller key is more specific: host, kind of path, prefix, conditions, order. */

enum { PARTS = 5 };

static bool ends_with(struct str text, const char *end)
{
    size_t n = strlen(end);

    return text.len >= n && memcmp(text.p + text.len - n, end, n) == 0;
}

static bool host_fits(struct str host, const char *name, int *key)
{
    *key = 0;
    if (host.p[0] != '*')
        return host.len == strlen(name) && memcmp(host.p, name, host.len) == 0;
    *key = 100 - (int)host.len;
    return strlen(name) >= host.len && ends_with(str_of(name), host.p + 1);
}

static bool pattern_fits(const char *pattern, struct str path)
{
    const char *found = memmem(path.p, path.len, "/a/", 3);

    if (strcmp(pattern, "^/a") == 0)
        return path.len >= 2 && memcmp(path.p, "/a", 2) == 0;
    if (strcmp(pattern, "b$") == 0)
        return ends_with(path, "b");
    if (strcmp(pattern, "/a/") == 0)
        return found != NULL;
    return path.len >= 3 && path.p[2] == '/' && (path.p[1] == 'a' || path.p[1] == 'b');
}

static bool path_fits(const struct conf_path *written, struct str path, int *key)
{
    struct str text = written->text.s;
    bool starts = path.len >= text.len && memcmp(path.p, text.p, text.len) == 0;

    key[0] = written->kind == CONF_PATH_EXACT ? 0 : written->kind == CONF_PATH_PREFIX ? 1 : 2;
    key[1] = written->kind == CONF_PATH_PREFIX ? -(int)text.len : 0;
    if (written->kind == CONF_PATH_EXACT)
        return starts && path.len == text.len;
    if (written->kind == CONF_PATH_PREFIX)
        return starts && (path.len == text.len || path.p[text.len] == '/');
    return pattern_fits(text.p, path);
}

static bool method_fits(const struct conf_route *route, const char *method)
{
    for (uint32_t i = 0; i < route->methods.count; i++) {
        const char *word = route->methods.items[i].s.p;

        if (strcmp(word, method) == 0 || (strcmp(word, "GET") == 0 && strcmp(method, "HEAD") == 0))
            return true;
    }
    return route->methods.count == 0;
}

// Words of "name=value" with any case of the name; queries come decoded.
static bool pairs_fit(const struct conf_pairs *pairs, const char *words)
{
    for (uint32_t i = 0; i < pairs->count; i++) {
        const char *name = pairs->items[i].name.s.p, *value = pairs->items[i].value.s.p;
        bool found = false;

        for (const char *p = words; *p; p += strcspn(p, " &"), p += *p != '\0') {
            if ((*p | 0x20) == *name && p[1] == '=')
                found = found || *value == '*' || p[2] == *value;
        }
        if (!found)
            return false;
    }
    return true;
}

struct plain {
    const char *name, *method, *fields, *query;
    struct str path;
};

static bool is_less(const int *a, const int *b)
{
    for (int i = 0; i < PARTS; i++) {
        if (a[i] != b[i])
            return a[i] < b[i];
    }
    return false;
}

static void offer(const int *key, int *best)
{
    if (is_less(key, best))
        memcpy(best, key, PARTS * sizeof(*key));
}

static void try_paths(const struct conf_route *route, const struct plain *plain, int *key,
                      int *best)
{
    if (!route->path_count) {
        key[1] = 3;
        key[2] = 0;
        offer(key, best);
    }
    for (uint32_t i = 0; i < route->path_count; i++) {
        if (path_fits(&route->paths[i], plain->path, key + 1))
            offer(key, best);
    }
}

static void try_route(const struct conf_route *route, const struct plain *plain, int *key,
                      int *best)
{
    key[3] = -(int)(route->headers.count + route->query.count) - (route->methods.count ? 1 : 0);
    if (!route->hosts.count) {
        key[0] = 1000;
        try_paths(route, plain, key, best);
    }
    for (uint32_t i = 0; i < route->hosts.count; i++) {
        if (host_fits(route->hosts.items[i].s, plain->name, key))
            try_paths(route, plain, key, best);
    }
}

static int reference(const struct conf *conf, const struct plain *plain, bool *method_mismatch)
{
    int best[PARTS] = {10000}, missed[PARTS] = {10000};

    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        int key[PARTS] = {0, 0, 0, 0, (int)i};

        if (pairs_fit(&route->headers, plain->fields) && pairs_fit(&route->query, plain->query))
            try_route(route, plain, key, method_fits(route, plain->method) ? best : missed);
    }
    *method_mismatch = best[0] == 10000 && missed[0] != 10000;
    return best[0] == 10000 ? -1 : best[4];
}

static void check_explained(struct bench *bench, const struct head *head, int expected)
{
    struct route_explained out[ROUTES_MAX];
    uint32_t n = route_explain(bench->table, head, &bench->arena, out, ROUTES_MAX);
    int first = -1;

    assert_true(n <= bench->conf.route_count);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(out[i].why.len > 0);
        if (out[i].fits && first < 0)
            first = (int)out[i].index;
    }
    assert_int_equal(first, expected);
}

static bool check_request(uint64_t *seed, struct bench *bench)
{
    char clean[LINE_MAX_BYTES] = "", target[LINE_MAX_BYTES] = "";
    const char *authority = PICK(names), *query = PICK(queries);
    struct plain plain = {.method = PICK(method_words), .fields = PICK(fields)};
    struct route_match match;
    struct head *head;
    bool mismatch;
    int expected;

    for (uint32_t n = random_below(seed, 4); n; n--) {
        const char *segment = PICK(segments);

        append(target, PICK(noise), segment);
        append(clean, "", segment);
    }
    if (!*clean || chance(seed, 10)) {
        append(clean, "", "/");
        append(target, "", "/");
    }
    append(target, "", query);
    plain.name = *authority == 'A' ? "a.com" : authority;
    plain.path = str_of(clean);
    plain.query = strcmp(query, "?l=%32&k=1") == 0 ? "l=2&k=1" : query + (*query == '?');
    head = request(bench, plain.method, authority, target, plain.fields);
    match = route_match(bench->table, head);
    expected = reference(&bench->conf, &plain, &mismatch);
    check_explained(bench, head, expected);
    if ((match.route ? (int)match.index : -1) == expected && match.method_mismatch == mismatch)
        return true;
    print_error("%s %s%s fields \"%s\": route %d, expected %d\n", plain.method, authority, target,
                plain.fields, match.route ? (int)match.index : -1, expected);
    return false;
}

static void agrees_with_reference(void **state)
{
    (void)state;
    for (uint64_t table = 1; table <= TABLES; table++) {
        uint64_t start = table * 7919, *seed = &start;
        struct bench bench;
        bool is_good = true;

        bench_init(&bench, ROUTES_MAX);
        for (uint32_t n = 1 + random_below(seed, ROUTES_MAX - 1); n; n--)
            random_route(seed, &bench);
        bench_build(&bench);
        assert_non_null(bench.table);
        for (int i = 0; i < REQUESTS && is_good; i++)
            is_good = check_request(seed, &bench);
        if (!is_good)
            print_error("seed %llu\n", (unsigned long long)(table * 7919));
        assert_true(is_good);
        bench_fini(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_reference)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/keys.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"

enum {
    FETCHES_MAX = 2, /* at once: threads of the pool are few */
    FETCH_MS = 10000,
    CONNECT_MS = 3000,
    LOOK_MS = 900,        /* between looks at a file: each tick */
    FRESH_MS = 5 * 60000, /* how long a fetched set is good, unless the answer says otherwise */
    FRESH_MIN_MS = 60000, /* the least it may say */
    FRESH_MAX_MS = 60 * 60000,
    MISSING_MS = 5000,  /* between fetches for keys that are not known */
    BACK_OFF_MS = 1000, /* after a failure, doubling */
    BACK_OFF_MAX_MS = 60000,
};

struct keys {
    uv_loop_t *loop;
    struct key_store *store;
    unsigned fetching;
    uint32_t is_closed; /* atomic: readings look, too */
};

struct reading {
    uv_work_t work;
    struct keys *keys;
    struct key_source *source; /* a reference */
    struct jwks *found;
    bool is_same;          /* a file that has not changed */
    uint64_t signature[4]; /* of the file */
    uint32_t fresh_ms;
    struct arena arena;
    struct str text;
    char problem[KEY_SOURCE_PROBLEM];
};

static uint64_t now_ms(void)
{
    return clock_us() / 1000;
}

static void parse(struct reading *reading)
{
    const char *why = NULL;

    reading->found = jwks_read(reading->text, &why);
    if (!reading->found)
        snprintf(reading->problem, sizeof(reading->problem), "not a set of keys: %s", why);
}

/* --- a file, on a thread of the pool */

static void read_whole(struct reading *reading, const struct stat *st)
{
    const char *wrong = NULL;

    if (!S_ISREG(st->st_mode))
        wrong = "it is not a file";
    else if (st->st_size > JWKS_TEXT_MAX)
        wrong = "it is larger than 256 KiB";
    else if (file_read(reading->source->name, &reading->arena, &reading->text)) {
        wrong = strerror(errno);
        memset(reading->signature, 0, sizeof(reading->signature)); // to be tried at the next look
    }
    if (wrong)
        snprintf(reading->problem, sizeof(reading->problem), "cannot be read: %s", wrong);
    else
        parse(reading);
}

static void read_file(struct reading *reading)
{
    struct stat st;

    if (stat(reading->source->name, &st)) {
        snprintf(reading->problem, sizeof(reading->problem), "cannot be read: %s", strerror(errno));
    } else {
        reading->signature[0] = (uint64_t)st.st_ino;
        reading->signature[1] = (uint64_t)st.st_size;
        reading->signature[2] = (uint64_t)st.st_mtim.tv_sec;
        reading->signature[3] = (uint64_t)st.st_mtim.tv_nsec;
    }
    reading->is_same =
        !memcmp(reading->signature, reading->source->signature, sizeof(reading->signature));
    if (!reading->is_same && !reading->problem[0])
        read_whole(reading, &st);
}

/* --- a URL, on a thread of the pool */

static size_t on_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct reading *reading = owner;
    size_t len = size * count;

    if (len > JWKS_TEXT_MAX - reading->text.len)
        return 0;
    memcpy((char *)(uintptr_t)reading->text.p + reading->text.len, bytes, len);
    reading->text.len += len;
    return len;
}

/* Ends a fetch that nobody waits for any more. */
static int on_progress(void *owner, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                       curl_off_t up)
{
    const struct reading *reading = owner;

    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    return __atomic_load_n(&reading->keys->is_closed, __ATOMIC_RELAXED) != 0;
}

/* RFC 9111 section 5.2.2.1, within bounds. */
static uint32_t freshness(CURL *curl)
{
    struct curl_header *header;
    const char *age;
    unsigned long seconds;

    if (curl_easy_header(curl, "Cache-Control", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return FRESH_MS;
    age = strcasestr(header->value, "max-age=");
    if (!age || age[8] < '0' || age[8] > '9')
        return FRESH_MS;
    seconds = strtoul(age + 8, NULL, 10);
    if (seconds >= FRESH_MAX_MS / 1000)
        return FRESH_MAX_MS;
    return seconds * 1000 < FRESH_MIN_MS ? FRESH_MIN_MS : (uint32_t)seconds * 1000;
}

/* Redirects are not followed: keys come from where the configuration says. */
static bool set_up(CURL *curl, struct reading *reading, char *error)
{
    const char *roots = getenv("SSL_CERT_FILE"); // as OpenSSL's own defaults

    return !curl_easy_setopt(curl, CURLOPT_URL, reading->source->name) &&
           !curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") &&
           !curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) &&
           !curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) &&
           !curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)FETCH_MS) &&
           !curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) &&
           !curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION) &&
           !curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) &&
           !curl_easy_setopt(curl, CURLOPT_WRITEDATA, reading) &&
           !curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) &&
           !curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) &&
           !curl_easy_setopt(curl, CURLOPT_XFERINFODATA, reading) &&
           (!roots || !curl_easy_setopt(curl, CURLOPT_CAINFO, roots));
}

static void fetch(struct reading *reading)
{
    char error[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;

    reading->text.p = arena_text(&reading->arena, JWKS_TEXT_MAX);
    if (curl && reading->text.p && set_up(curl, reading, error))
        code = curl_easy_perform(curl);
    if (code) {
        snprintf(reading->problem, sizeof(reading->problem), "cannot be fetched: %.150s",
                 error[0] ? error : curl_easy_strerror(code));
    } else {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        reading->fresh_ms = freshness(curl);
        if (status == 200)
            parse(reading);
        else
            snprintf(reading->problem, sizeof(reading->problem), "answers %ld", status);
    }
    curl_easy_cleanup(curl);
}

static void on_work(uv_work_t *work)
{
    struct reading *reading = work->data;

    if (reading->source->is_url)
        fetch(reading);
    else
        read_file(reading);
}

/* --- what came of it */

static void tell(struct key_source *source, const char *problem)
{
    if (problem[0])
        fprintf(stderr, "sluice: edge: keys of %s: %s%s\n", source->name, problem,
                source->keys.current ? "; the last good ones stay" : "");
    else if (source->problem[0])
        fprintf(stderr, "sluice: edge: keys of %s: good again\n", source->name);
    snprintf(source->problem, sizeof(source->problem), "%s", problem);
}

static uint32_t back_off(unsigned failures)
{
    uint32_t ms = failures < 7 ? (uint32_t)BACK_OFF_MS << (failures - 1) : BACK_OFF_MAX_MS;

    return ms < BACK_OFF_MAX_MS ? ms : BACK_OFF_MAX_MS;
}

static void settle(struct key_source *source, struct reading *reading, uint64_t now)
{
    bool is_news = reading->signature[0] || strcmp(source->problem, reading->problem) != 0;

    source->due_ms = now + LOOK_MS;
    if (reading->is_same)
        return;
    memcpy(source->signature, reading->signature, sizeof(source->signature));
    if (is_news)
        tell(source, reading->problem);
    if (reading->found) {
        key_source_set(source, reading->found);
        reading->found = NULL;
        source->failures = 0;
        source->good_ms = now;
    } else {
        source->failures++;
    }
    if (source->is_url)
        source->due_ms = now + (source->failures ? back_off(source->failures) : reading->fresh_ms);
}

static void on_done(uv_work_t *work, int cancelled)
{
    struct reading *reading = work->data;
    struct keys *keys = reading->keys;

    keys->fetching -= reading->source->is_url;
    if (!cancelled && !keys->is_closed)
        settle(reading->source, reading, now_ms());
    reading->source->is_busy = false;
    key_store_drop(keys->store, &reading->source);
    jwks_free(reading->found);
    arena_reset(&reading->arena);
    free(reading);
}

/* --- when */

static bool is_due(struct key_source *source, void *owner)
{
    const struct keys *keys = owner;
    uint64_t now = now_ms();
    bool is_missing = source->is_url && __atomic_load_n(&source->is_missing, __ATOMIC_RELAXED) &&
                      now >= source->asked_ms + MISSING_MS;

    if (source->is_busy || (source->is_url && keys->fetching >= FETCHES_MAX))
        return false;
    return now >= source->due_ms || is_missing;
}

static bool begin(struct keys *keys, struct key_source *source)
{
    struct reading *reading = calloc(1, sizeof(*reading));

    if (!reading)
        return false;
    reading->work.data = reading;
    reading->keys = keys;
    reading->source = source;
    arena_init(&reading->arena, NULL, 0);
    if (uv_queue_work(keys->loop, &reading->work, on_work, on_done)) {
        free(reading);
        return false;
    }
    __atomic_store_n(&source->is_missing, 0, __ATOMIC_RELAXED);
    source->asked_ms = now_ms();
    source->is_busy = true;
    keys->fetching += source->is_url;
    return true;
}

void keys_tick(struct keys *keys)
{
    struct key_source *source;

    while (!keys->is_closed && (source = key_store_pick(keys->store, is_due, keys))) {
        if (begin(keys, source))
            continue;
        source->due_ms = now_ms() + BACK_OFF_MS;
        key_store_drop(keys->store, &source);
    }
}

/* --- life */

struct keys *keys_open(uv_loop_t *loop, struct key_store *store)
{
    struct keys *keys = calloc(1, sizeof(*keys));

    if (!keys)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        free(keys);
        return NULL;
    }
    keys->loop = loop;
    keys->store = store;
    return keys;
}

void keys_close(struct keys *keys)
{
    __atomic_store_n(&keys->is_closed, 1, __ATOMIC_RELAXED);
}

void keys_free(struct keys **keys)
{
    if (*keys)
        curl_global_cleanup();
    free(*keys);
    *keys = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "control/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* SHA-256 of nothing. */
static const char sha_of_nothing[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char pattern[] = "control-dddddddd"
                              "Tdddddd"
                              "Z.db";

/* --- names */

void s3_name(int64_t now_ms, char name[S3_NAME])
{
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm tm;

    gmtime_r(&now_s, &tm);
    strftime(name, S3_NAME, "control-%Y%m%dT%H%M%SZ.db", &tm);
}

bool s3_is_name(const char *name)
{
    for (const char *p = pattern; *p; p++, name++) {
        bool is_digit = *name >= '0' && *name <= '9';

        // The "d" of "db" stands behind a dot.
        if (*p == 'd' && p[-1] != '.' ? !is_digit : *name != *p)
            return false;
    }
    return !*name;
}

int64_t s3_name_ms(const char *name)
{
    struct tm tm = {.tm_isdst = 0};

    if (!s3_is_name(name) || !strptime(name, "control-%Y%m%dT%H%M%SZ.db", &tm))
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

const char *s3_newest(const json_t *names)
{
    const char *newest = NULL;
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name);

        if (text && (!newest || strcmp(text, newest) > 0))
            newest = text;
    }
    return newest;
}

/* --- the place */

static bool begins(struct str s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len >= len && !memcmp(s.p, prefix, len);
}

static struct str skip(struct str s, size_t count)
{
    return (struct str){s.p + count, s.len - count};
}

/* Up to a slash, which is taken too. */
static struct str take_word(struct str *s)
{
    const char *slash = memchr(s->p, '/', s->len);
    size_t len = slash ? (size_t)(slash - s->p) : s->len;
    struct str word = {s->p, len};

    *s = skip(*s, slash ? len + 1 : len);
    return word;
}

static bool is_bucket(struct str s)
{
    bool is_good = s.len >= 3 && s.len <= 63;

    for (size_t i = 0; is_good && i < s.len; i++)
        is_good = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
                  s.p[i] == '-' || s.p[i] == '.';
    return is_good;
}

/* A name with dots fits no certificate of *.s3.REGION.amazonaws.com. */
static void write_amazon(struct s3_place *place, struct str bucket)
{
    if (memchr(bucket.p, '.', bucket.len))
        snprintf(place->bucket, sizeof(place->bucket), "https://s3.%s.amazonaws.com/%.*s",
                 place->region, STR_FMT(bucket));
    else
        snprintf(place->bucket, sizeof(place->bucket), "https://%.*s.s3.%s.amazonaws.com",
                 STR_FMT(bucket), place->region);
}

/* What is left of the path: a prefix, and perhaps a name behind it. */
static const char *read_rest(struct s3_place *place, struct str rest)
{
    while (rest.len && rest.p[rest.len - 1] == '/')
        rest.len--;
    if (rest.len > sizeof(place->prefix) - S3_NAME)
        return "its prefix is too long";
    snprintf(place->prefix, sizeof(place->prefix), "%.*s", STR_FMT(rest));
    for (const char *p = place->prefix; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f || strchr("?#%\\", *p))
            return "its prefix has characters that make trouble: use letters, digits, - and /";
    if (s3_is_name(place->prefix + (rest.len > strlen(pattern) ? rest.len - strlen(pattern) : 0))) {
        char *name = place->prefix + rest.len - strlen(pattern);

        if (name != place->prefix && name[-1] != '/')
            return "it names no backup";
        snprintf(place->object, sizeof(place->object), "%s", name);
        *name = '\0';
    } else if (rest.len) {
        strcat(place->prefix, "/");
    }
    return NULL;
}

const char *s3_place_read(struct s3_place *place, struct str url)
{
    bool is_amazon = begins(url, "s3://");
    const char *scheme = is_amazon ? "s3://" : begins(url, "http://") ? "http://" : "https://";
    struct str host = STR_NONE, bucket;

    place->object[0] = '\0';
    if (!begins(url, scheme))
        return "it begins with s3:// or https://";
    url = skip(url, strlen(scheme));
    if (!is_amazon)
        host = take_word(&url);
    bucket = take_word(&url);
    if (!is_bucket(bucket))
        return "it names no bucket";
    if (is_amazon)
        write_amazon(place, bucket);
    else if (!host.len || memchr(host.p, '@', host.len) ||
             host.len + bucket.len + 16 > sizeof(place->bucket))
        return "it names no host";
    else
        snprintf(place->bucket, sizeof(place->bucket), "%s%.*s/%.*s", scheme, STR_FMT(host),
                 STR_FMT(bucket));
    return read_rest(place, url);
}

/* --- calls */

static void encode(FILE *out, const char *text, bool keeps_slash)
{
    for (; *text; text++) {
        bool is_plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                        (*text >= '0' && *text <= '9') || strchr("-._~", *text) ||
                        (keeps_slash && *text == '/');

        fprintf(out, is_plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
}

/* The query is in the order in which it is signed. */
static char *make_url(const struct s3_place *place, const struct s3_call *call)
{
    char *url = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&url, &len);

    if (!out)
        return NULL;
    fprintf(out, "%s/", place->bucket);
    if (call->name) {
        encode(out, place->prefix, true);
        encode(out, call->name, false);
    } else {
        fputs("?", out);
        if (call->token) {
            fputs("continuation-token=", out);
            encode(out, call->token, false);
            fputs("&", out);
        }
        fputs("list-type=2&prefix=", out);
        encode(out, place->prefix, false);
        fputs("control-", out);
    }
    if (!fclose(out))
        return url;
    free(url);
    return NULL;
}

struct outbound_call *s3_send(struct outbound *outbound, const struct s3_place *place,
                              const struct s3_call *call)
{
    struct outbound_sign sign = {place->region, place->key, place->secret};
    char sha[96], *url = make_url(place, call);
    const char *fields[] = {sha, "Content-Type: application/vnd.sqlite3", NULL};
    struct outbound_request request = {.method = call->method,
                                       .url = url,
                                       .fields = fields,
                                       .body = call->body,
                                       .ca = place->ca,
                                       .sign = &sign,
                                       .timeout_ms = call->timeout_ms,
                                       .size_max = call->size_max,
                                       .done = call->done,
                                       .owner = call->owner};
    struct outbound_call *sent = NULL;

    snprintf(sha, sizeof(sha), "x-amz-content-sha256: %s",
             call->sha256 ? call->sha256 : sha_of_nothing);
    if (!call->body.p)
        fields[1] = NULL;
    if (url)
        sent = outbound_send(outbound, &request);
    free(url);
    return sent;
}

/* --- answers */

/* What stands between the next <name> and its end, from *at on; absent: there is none. */
static struct str next_element(struct str *at, const char *name)
{
    char begin[48], end[48];
    const char *first, *last;

    snprintf(begin, sizeof(begin), "<%s>", name);
    snprintf(end, sizeof(end), "</%s>", name);
    first = memmem(at->p, at->len, begin, strlen(begin));
    if (!first)
        return STR_NONE;
    *at = skip(*at, (size_t)(first - at->p) + strlen(begin));
    last = memmem(at->p, at->len, end, strlen(end));
    if (!last)
        return STR_NONE;
    first = at->p;
    *at = skip(*at, (size_t)(last - first) + strlen(end));
    return (struct str){first, (size_t)(last - first)};
}

/* What is plain text in XML. False: it is longer than there is room. */
static bool read_text(struct str from, char *text, size_t size)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    size_t n = 0;

    while (from.len && n + 1 < size) {
        char c = from.p[0];
        size_t len = 1;

        for (size_t i = 0; c == '&' && i < ARRAY_LEN(entities); i++)
            if (begins(from, entities[i].name)) {
                len = strlen(entities[i].name);
                text[n] = entities[i].c;
                break;
            }
        if (len == 1)
            text[n] = c;
        n++;
        from = skip(from, len);
    }
    text[n] = '\0';
    return !from.len;
}

bool s3_read_list(struct str page, const struct s3_place *place, json_t *names,
                  char token[S3_TOKEN])
{
    size_t prefix = strlen(place->prefix);
    struct str at = page, key, next;
    char text[sizeof(place->prefix) + S3_NAME];

    token[0] = '\0';
    if (!page.len || !memmem(page.p, page.len, "<ListBucketResult", 17))
        return false;
    while ((key = next_element(&at, "Key")).p)
        if (read_text(key, text, sizeof(text)) && !strncmp(text, place->prefix, prefix) &&
            s3_is_name(text + prefix))
            json_array_append_new(names, json_string(text + prefix));
    at = page;
    next = next_element(&at, "NextContinuationToken");
    return !next.p || read_text(next, token, S3_TOKEN);
}

void s3_explain(const struct outbound_reply *reply, char error[S3_ERROR])
{
    struct str at = reply->body, code, words;
    char code_text[64] = "", words_text[200] = "";

    if (!reply->status) {
        snprintf(error, S3_ERROR, "%s", reply->error);
        return;
    }
    code = at.p ? next_element(&at, "Code") : STR_NONE;
    words = at.p ? next_element(&at, "Message") : STR_NONE;
    if (code.p && read_text(code, code_text, sizeof(code_text)) &&
        (!words.p || read_text(words, words_text, sizeof(words_text))))
        snprintf(error, S3_ERROR, "the store answers %ld, %s: %s", reply->status, code_text,
                 words_text);
    else
        snprintf(error, S3_ERROR, "the store answers %ld", reply->status);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit/claim.h"

/* What is left to read. */
struct reader {
    const char *at, *end;
};

static char peek(const struct reader *reader)
{
    return reader->at < reader->end ? *reader->at : '\0';
}

static void skip_space(struct reader *reader)
{
    while (peek(reader) == ' ' || peek(reader) == '\t' || peek(reader) == '\n' ||
           peek(reader) == '\r')
        reader->at++;
}

static bool skip(struct reader *reader, char c)
{
    skip_space(reader);
    if (peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

/* What stands between quotes; absent when none end it. */
static struct str take_string(struct reader *reader)
{
    const char *start;

    if (!skip(reader, '"'))
        return STR_NONE;
    start = reader->at;
    for (; reader->at < reader->end && *reader->at != '"'; reader->at++)
        if (*reader->at == '\\' && reader->end - reader->at > 1)
            reader->at++;
    if (reader->at >= reader->end)
        return STR_NONE;
    return (struct str){start, (size_t)(reader->at++ - start)};
}

/* A number, a word, a list or an object: up to what ends it. */
static struct str take_other(struct reader *reader)
{
    const char *start = reader->at, *stop = start;
    unsigned depth = 0;

    for (char c = peek(reader); c && (depth || (c != ',' && c != '}')); c = peek(reader)) {
        depth += c == '{' || c == '[';
        depth -= depth && (c == '}' || c == ']');
        if (c == '"' && !take_string(reader).p)
            return STR_NONE;
        reader->at += c != '"';
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            stop = reader->at;
    }
    return stop > start ? (struct str){start, (size_t)(stop - start)} : STR_NONE;
}

struct str claim_value(struct str claims, struct str name)
{
    struct reader reader = {claims.p, claims.p + claims.len};

    if (!claims.len || !skip(&reader, '{'))
        return STR_NONE;
    do {
        struct str key = take_string(&reader), value;

        if (!key.p || !skip(&reader, ':'))
            return STR_NONE;
        skip_space(&reader);
        value = peek(&reader) == '"' ? take_string(&reader) : take_other(&reader);
        if (!value.p || str_same(key, name))
            return value;
    } while (skip(&reader, ','));
    return STR_NONE;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What status says of that by which clients are known: sets of keys with their age and what is
 * wrong with them, keys made at run time, and how many each filter has of its configuration.
 * Numbers and places alone, nothing that is secret.
 */
#include <string.h>

#include "base/clock.h"
#include "edge/filter/chain.h"
#include "edge/manager/api.h"

/* --- sets of keys */

/* A URL without what may be secret in it: name and password, and the query. */
static json_t *name_json(const struct key_source *source)
{
    const char *text = source->name, *begin = strstr(text, "://");
    const char *at, *end, *slash;

    if (!source->is_url || !begin)
        return json_string(text);
    begin += 3;
    end = begin + strcspn(begin, "?#");
    slash = begin + strcspn(begin, "/?#");
    at = memrchr(begin, '@', (size_t)(slash - begin));
    if (at)
        return json_sprintf("%.*s%.*s", (int)(begin - text), text, (int)(end - at - 1), at + 1);
    return json_stringn(text, (size_t)(end - text));
}

static void add_source(const struct key_source *source, void *owner)
{
    const struct jwks *keys = source->keys.current; // this thread is the one that sets it
    json_t *json = json_pack("{s:o,s:s,s:i,s:i}", "name", name_json(source), "kind",
                             source->is_url ? "url" : "file", "keys", keys ? (int)keys->count : 0,
                             "failures", (int)source->failures);

    if (source->good_ms)
        json_object_set_new(json, "age_s",
                            json_integer((json_int_t)(clock_us() / 1000 - source->good_ms) / 1000));
    if (source->problem[0])
        json_object_set_new(json, "error", json_string(source->problem));
    json_array_append_new(owner, json);
}

/* --- filters */

static void add_filters(const struct conf_filters *filters, struct str route, json_t *list)
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct conf_filter *item = &filters->items[i];
        json_t *json;

        if (!item->conf || !item->filter->count_keys)
            continue;
        json = json_pack("{s:s,s:I}", "filter", item->filter->name, "keys",
                         (json_int_t)item->filter->count_keys(item->conf));
        if (route.len)
            json_object_set_new(json, "route", json_stringn(route.p, route.len));
        json_array_append_new(list, json);
    }
}

json_t *api_credentials_status(const struct manager *m)
{
    const struct conf *conf = m->snapshot->rules->conf;
    json_t *sources = json_array(), *filters = json_array();
    struct key_book_count count = key_book_count(m->key_book);
    struct key_book_word word = key_book_word(m->key_book);
    json_t *json;

    key_store_each(m->key_store, add_source, sources);
    add_filters(&conf->filters, STR(""), filters);
    for (uint32_t i = 0; i < conf->route_count; i++)
        add_filters(&conf->routes[i].filters, conf->routes[i].name.s, filters);
    json = json_pack("{s:o,s:I,s:o}", "sources", sources, "api_keys", (json_int_t)count.all,
                     "filters", filters);
    if (word.epoch)
        json_object_set_new(json, "control",
                            json_pack("{s:I,s:I,s:I}", "epoch", (json_int_t)word.epoch, "revision",
                                      (json_int_t)word.revision, "keys",
                                      (json_int_t)count.control));
    return json;
}

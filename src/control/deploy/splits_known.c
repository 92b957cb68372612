/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of the releases of a service and how it is split: by the file, by what deploys have
 * left, by hand.
 */
#include <string.h>

#include "control/deploy/impl.h"
#include "control/deploy/shares.h"
#include "control/deploy/splits_impl.h"

json_t *splits_of_file(const struct conf_service *conf)
{
    json_t *split = json_object();

    for (uint32_t i = 0; i < conf->share_count; i++) {
        struct str id = conf->shares[i].release.s;

        json_object_setn_new(split, id.p, id.len, json_integer(conf->shares[i].share));
    }
    return split;
}

static void add(json_t *known, struct str id)
{
    for (size_t i = 0; i < json_array_size(known); i++) {
        const json_t *has = json_array_get(known, i);

        if (str_same(id, (struct str){json_string_value(has), json_string_length(has)}))
            return;
    }
    json_array_append_new(known, json_stringn(id.p, id.len));
}

struct str splits_stable_of_file(const struct conf_service *conf)
{
    struct str most = conf->release_count ? conf->releases[0].name.s : STR(CONF_STABLE);
    uint32_t greatest = 0;

    for (uint32_t i = 0; i < conf->release_count; i++)
        if (str_same(conf->releases[i].name.s, STR(CONF_STABLE)))
            return conf->releases[i].name.s;
    for (uint32_t i = 0; i < conf->share_count; i++)
        if (conf->shares[i].share > greatest) {
            greatest = conf->shares[i].share;
            most = conf->shares[i].release.s;
        }
    return most;
}

struct str splits_stable(const struct managed *managed, const struct conf_service *conf)
{
    const json_t *said = managed ? json_object_get(managed->record, "stable") : NULL;

    if (json_string_length(said))
        return (struct str){json_string_value(said), json_string_length(said)};
    return splits_stable_of_file(conf);
}

json_t *splits_known(const struct managed *managed, const struct conf_service *conf,
                     struct str stable)
{
    json_t *known = json_array(), *targets;
    const char *id;

    add(known, stable);
    for (uint32_t i = 0; i < conf->release_count; i++)
        add(known, conf->releases[i].name.s);
    if (!conf->release_count)
        add(known, STR(CONF_STABLE));
    if (managed)
        json_object_foreach(json_object_get(managed->record, "releases"), id, targets)
            add(known, (struct str){id, strlen(id)});
    return known;
}

bool splits_are_as_in_file(const struct managed *managed)
{
    return !managed || (!json_object_size(json_object_get(managed->record, "releases")) &&
                        !json_array_size(json_object_get(managed->record, "removed")));
}

json_t *splits_now(const struct managed *managed, const struct conf_service *conf,
                   const json_t *known)
{
    json_t *split = managed ? shares_among(known, json_object_get(managed->record, "split")) : NULL;
    json_t *of_file = !split && splits_are_as_in_file(managed) ? splits_of_file(conf) : NULL;

    if (!split && of_file)
        split = shares_among(known, of_file);
    json_decref(of_file);
    return split ? split : json_pack("{s:i}", json_string_value(json_array_get(known, 0)), 1);
}

json_t *splits_wanted(const struct managed *managed, const char *stable)
{
    const struct conf_service *conf = managed_conf(managed);
    const struct deploy *deploy = managed->deploy;
    json_t *split = json_object(), *known = NULL, *said = NULL;
    struct shares_spread spread = {.but = "", .otherwise = stable, .whole = 1};

    if (conf && json_object_get(managed->record, "split")) {
        known = splits_known(managed, conf, (struct str){stable, strlen(stable)});
        said = shares_among(known, json_object_get(managed->record, "split"));
        json_decref(known);
    }
    if (!deploy && said) {
        json_decref(split);
        return said;
    }
    if (deploy) {
        uint32_t share = deploy_wants(&deploy->plan, &deploy->state).new_share;

        if (share)
            json_object_set_new(split, deploy->release, json_integer(share));
        spread.whole = DEPLOY_WHOLE - share;
        spread.but = deploy->release;
        if (*deploy->old)
            spread.otherwise = deploy->old;
    }
    spread.split = said;
    if (spread.whole)
        shares_spread(split, &spread);
    json_decref(said);
    return split;
}

const char *splits_old(const struct managed *managed)
{
    const char *stable = json_string_value(json_object_get(managed->record, "stable"));

    return shares_main(json_object_get(managed->record, "split"), stable);
}

json_t *splits_describe(const struct managed *managed, const struct conf_service *conf)
{
    struct str stable = splits_stable(managed, conf);
    json_t *known = splits_known(managed, conf, stable), *id;
    json_t *now = splits_now(managed, conf, known), *split = json_object();
    size_t i;

    json_array_foreach(known, i, id)
    {
        const char *name = json_string_value(id);

        json_object_set_new(split, name,
                            json_integer(json_integer_value(json_object_get(now, name))));
    }
    json_decref(now);
    json_decref(known);
    return json_pack("{s:o,s:s%}", "split", split, "stable", stable.p, stable.len);
}

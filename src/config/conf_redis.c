/* SPDX-License-Identifier: Apache-2.0
 *
 * The key `redis`.
 */
#include "config/conf_table.h"
#include "config/tree.h"

static bool decode_url(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member)
{
    struct conf_redis *redis = CONTAINER_OF((struct conf_text *)member, struct conf_redis, url);
    const char *wrong;

    (void)field;
    if (!field_text(decoder, node, &redis->url))
        return false;
    wrong = conf_redis_read(decoder->arena, redis->url.s, redis);
    redis->tls.is_set = redis->is_tls;
    return !wrong || field_wrong(decoder, node, wrong);
}

static const struct field sentinel_fields[] = {
    {.name = "user",
     .doc = "Who asks the sentinels, with a password; those of the URL are for the master alone.",
     .type = FIELD_TEXT,
     .flags = FIELD_SECRET,
     FIELD_AT(struct conf_redis, sentinel_user)},
    {.name = "password",
     .doc = "What the sentinels want to hear, when they want a password.",
     .type = FIELD_TEXT,
     .flags = FIELD_SECRET,
     FIELD_AT(struct conf_redis, sentinel_password)},
    FIELD_END,
};

const struct field conf_redis_fields[] = {
    {.name = "url",
     .doc = "redis://[[user]:password@]host[:port][/database], "
            "redis+sentinel://[[user]:password@]host[:port],.../master[/database] or "
            "redis+cluster://[[user]:password@]host[:port],...; `rediss` instead of `redis`: over "
            "TLS. Rate limits are shared by all gateways that name the same; best with "
            "`${env:NAME}`, when there is a password.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_REQUIRED | FIELD_SECRET,
     .decode = decode_url,
     FIELD_AT(struct conf_redis, url)},
    {.name = "tls",
     .doc = "How it, its sentinels and nodes are spoken to with `rediss`.",
     .type = FIELD_OBJECT,
     .fields = conf_target_tls_fields,
     FIELD_AT(struct conf_redis, tls)},
    {.name = "sentinel",
     .doc = "For sentinels that want a password.",
     .type = FIELD_OBJECT,
     .fields = sentinel_fields},
    FIELD_END,
};

/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys `platform` and `trusted_proxies`, of the file and of its listeners, and what `auto`
 * finds.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

static const char *const names[] = {"none", "auto", "fly", "railway", "cloudflare", NULL};

const char *conf_platform_name(enum conf_platform platform)
{
    return names[platform];
}

static bool add_platform(struct decoder *decoder, const struct node *node, bool is_chain,
                         struct conf_platforms *platforms)
{
    struct conf_text text;
    const char *nearest;
    uint32_t i = 0;

    if (!field_text(decoder, node, &text))
        return false;
    while (names[i] && strcmp(names[i], text.s.p) != 0)
        i++;
    if (!names[i]) {
        nearest = diag_nearest(text.s, names, ARRAY_LEN(names) - 1);
        field_wrong(decoder, node, "is none of none, auto, fly, railway, cloudflare");
        if (nearest)
            diag_hint(decoder->diag, "did you mean \"%s\"?", nearest);
        return false;
    }
    if (is_chain && i <= CONF_PLATFORM_AUTO)
        return field_wrong(decoder, node, "does not stand in a list of platforms");
    if (platforms->count == CONF_PLATFORMS_MAX)
        return field_wrong(decoder, node, "is one platform too many");
    platforms->is_auto |= i == CONF_PLATFORM_AUTO;
    if (i > CONF_PLATFORM_AUTO)
        platforms->items[platforms->count++] = (enum conf_platform)i;
    return true;
}

bool conf_platforms_decode(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *member)
{
    struct conf_platforms *platforms = member;
    bool is_good = true;

    (void)field;
    *platforms = (struct conf_platforms){.is_set = true};
    if (node->kind != NODE_LIST)
        return add_platform(decoder, node, false, platforms);
    for (const struct node *c = node->child.first; c; c = c->next)
        is_good &= add_platform(decoder, c, true, platforms);
    return is_good;
}

bool conf_network_decode(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_text text;

    (void)field;
    if (!field_text(decoder, node, &text))
        return false;
    if (cidr_parse(text.s, member))
        return true;
    field_wrong(decoder, node, "is not a network");
    diag_hint(decoder->diag,
              "write it as 10.0.0.0/8, 2001:db8::/32 or one address, with no bits set past its "
              "length");
    return false;
}

const struct field conf_network_element = {
    .name = "",
    .type = FIELD_CUSTOM,
    .decode = conf_network_decode,
    .json = "{\"type\":\"string\"}",
    .size = sizeof(struct cidr),
};

static bool has_env(const struct decoder *decoder, const char *name)
{
    const struct conf_world *world = decoder->world;
    const char *value = world->env ? world->env(world->env_owner, name) : NULL;

    return value && *value;
}

/* What the platforms set in every machine of theirs. */
static enum conf_platform find_platform(const struct decoder *decoder)
{
    if (has_env(decoder, "FLY_APP_NAME"))
        return CONF_PLATFORM_FLY;
    if (has_env(decoder, "RAILWAY_ENVIRONMENT_ID") || has_env(decoder, "RAILWAY_PROJECT_ID"))
        return CONF_PLATFORM_RAILWAY;
    return CONF_PLATFORM_NONE;
}

static void resolve(const struct decoder *decoder, struct conf_platforms *platforms)
{
    enum conf_platform found = find_platform(decoder);

    if (platforms->is_set && !platforms->is_auto)
        return;
    platforms->is_auto = true;
    platforms->count = found != CONF_PLATFORM_NONE;
    platforms->items[0] = found;
}

/* A connection that the platform did not open for a client, or whose TLS it passed through, carries
 * nothing of the platform's, unless the listener says so itself. */
static void complete_listener(const struct decoder *decoder, struct conf_listener *listener)
{
    const struct conf_trust *ours = &decoder->conf->trust;
    struct conf_trust *trust = &listener->trust;
    bool is_direct = listener->proxy_protocol || listener->tls.is_set;

    if (trust->platforms.is_set)
        resolve(decoder, &trust->platforms);
    else if (!is_direct)
        trust->platforms = ours->platforms;
    trust->proxies.is_set = trust->proxies.items != NULL;
    if (!trust->proxies.is_set)
        trust->proxies = ours->proxies;
}

void conf_complete_trust(struct decoder *decoder)
{
    struct conf *conf = decoder->conf;

    resolve(decoder, &conf->trust.platforms);
    for (uint32_t i = 0; i < conf->listener_count; i++)
        complete_listener(decoder, &conf->listeners[i]);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * body_limit: how large a request's body may be on a route. One that says its length is refused
 * before anything of it was read; of others the bytes are counted as they come, and what came of
 * them went to the target already: it sees the request break off.
 */
#include "base/arena.h"
#include "config/field.h"
#include "sluice/filter.h"

struct limit_conf {
    uint64_t bytes;
};

struct limit_state {
    uint64_t came;
};

extern const struct filter filter_body_limit;

static const struct field fields[] = {
    {.name = "",
     .doc = "Bytes of a request body.",
     .type = FIELD_SIZE,
     FIELD_AT(struct limit_conf, bytes)},
    FIELD_END,
};

static enum verdict on_request(struct visit *visit)
{
    const struct limit_conf *conf = visit->conf;
    int64_t length = visit->request->content_length;

    visit->edits_request = length < 0; // to see its bytes
    if (length < 0 || (uint64_t)length <= conf->bytes)
        return VERDICT_PASS;
    visit->reason = REASON_BODY_TOO_LARGE;
    return VERDICT_FAIL;
}

static enum reason on_request_body(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way)
{
    const struct limit_conf *conf = visit->conf;
    struct limit_state *state = visit->state;

    state->came += piece->bytes.len;
    return state->came > conf->bytes ? REASON_BODY_TOO_LARGE : filter_pass_body(way, piece);
}

static struct str describe(struct visit *visit)
{
    const struct limit_conf *conf = visit->conf;
    const struct limit_state *state = visit->state;
    int64_t length = visit->request->content_length;

    return arena_format(visit->arena, "\"limit\":%llu,\"length\":%lld,\"came\":%llu",
                        (unsigned long long)conf->bytes, (long long)length,
                        (unsigned long long)state->came);
}

const struct filter filter_body_limit = {
    .name = "body_limit",
    .doc = "Refuses requests whose body is larger.",
    .fields = fields,
    .conf_size = sizeof(struct limit_conf),
    .state_size = sizeof(struct limit_state),
    .on_request = on_request,
    .on_request_body = on_request_body,
    .describe = describe,
};

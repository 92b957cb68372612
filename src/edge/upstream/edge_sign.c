/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/edge_sign.h"

#include "base/text.h"

const struct str edge_sign_field = STR_INIT("X-Sluice-Signature");

struct str edge_sign(const struct mac *mac, struct arena *arena, const struct head *request,
                     struct str client, uint64_t now_ms)
{
    static const struct str before = STR_INIT("t="), between = STR_INIT(",v1=");
    char *value = arena_text(arena, before.len + TEXT_U64_MAX + between.len + 2 * MAC_SIZE), *at;
    uint8_t sum[MAC_SIZE];
    struct str seconds;

    if (!value)
        return STR_NONE;
    at = text_put(value, before);
    seconds.p = at;
    at = text_u64(at, now_ms / 1000);
    seconds.len = (size_t)(at - seconds.p);
    const struct str parts[] = {
        seconds,
        STR("\n"),
        client,
        STR("\n"),
        request->method_name,
        STR("\n"),
        request->path,
        request->query.p ? STR("?") : STR_NONE,
        request->query,
    };

    if (!mac_sum(mac, parts, ARRAY_LEN(parts), sum))
        return STR_NONE;
    at = text_hex_bytes(text_put(at, between), sum, sizeof(sum));
    return (struct str){value, (size_t)(at - value)};
}

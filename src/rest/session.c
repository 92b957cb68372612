/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/session.h"

#include <sys/random.h>

#include "base/mac.h"

enum { NUMBER = 16, SIGNED = 2 * NUMBER };

static const char digits[] = "0123456789abcdef";

static void put_number(char text[NUMBER], uint64_t number)
{
    for (unsigned i = 0; i < NUMBER; i++)
        text[i] = digits[number >> (4 * (NUMBER - 1 - i)) & 15];
}

/* False: it is no lower case hex. */
static bool read_number(const char text[NUMBER], uint64_t *number)
{
    *number = 0;
    for (unsigned i = 0; i < NUMBER; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            *number = *number << 4 | (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *number = *number << 4 | (unsigned)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* Of the first SIGNED bytes. False: memory. */
static bool sum_text(struct str token, const char *text, uint8_t sum[MAC_SIZE])
{
    const struct str parts[] = {STR_INIT("sluice session 1\n"), {text, SIGNED}};
    struct mac *mac = mac_new(token);
    bool is_good = mac && mac_sum(mac, parts, ARRAY_LEN(parts), sum);

    mac_free(&mac);
    return is_good;
}

static void put_sum(char *text, const uint8_t sum[MAC_SIZE])
{
    for (unsigned i = 0; i < MAC_SIZE; i++) {
        text[2 * i] = digits[sum[i] >> 4];
        text[2 * i + 1] = digits[sum[i] & 15];
    }
}

bool session_make(struct str token, uint64_t now_s, char text[SESSION_TEXT])
{
    uint8_t sum[MAC_SIZE];
    uint64_t id;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return false;
    put_number(text, id);
    put_number(text + NUMBER, now_s + SESSION_LIFE_S);
    if (!sum_text(token, text, sum))
        return false;
    put_sum(text + SIGNED, sum);
    return true;
}

/* False: it is none, whatever the tokens are. */
static bool read_text(struct str text, uint64_t now_s, struct session *session,
                      uint8_t sum[MAC_SIZE])
{
    if (text.len != SESSION_TEXT || !read_number(text.p, &session->id) ||
        !read_number(text.p + NUMBER, &session->until_s) || session->until_s <= now_s ||
        session->until_s > now_s + SESSION_LIFE_S)
        return false;
    for (unsigned i = 0; i < MAC_SIZE / 8; i++) {
        uint64_t word;

        if (!read_number(text.p + SIGNED + (size_t)(i * NUMBER), &word))
            return false;
        for (unsigned k = 0; k < 8; k++)
            sum[8 * i + k] = (uint8_t)(word >> (56 - 8 * k));
    }
    return true;
}

struct session session_read(const struct conf_admin *admin, struct str text, uint64_t now_s)
{
    struct session session = {.can = 0};
    uint8_t offered[MAC_SIZE], sum[MAC_SIZE];

    if (!read_text(text, now_s, &session, offered))
        return (struct session){.can = 0};
    for (uint32_t i = 0; i < admin->token_count; i++) {
        const struct conf_token *token = &admin->tokens[i];
        bool is_it =
            token->token.s.len && sum_text(token->token.s, text.p, sum) && mac_same(offered, sum);

        session.can |= (token->can | 1U << CONF_CAN_READ) * is_it;
        if (is_it)
            session.name = token->name.s;
    }
    return session;
}

void session_end(struct session_ended *ended, uint64_t id)
{
    ended->ids[ended->next] = id;
    ended->next = (ended->next + 1) % SESSION_ENDED;
}

bool session_has_ended(const struct session_ended *ended, uint64_t id)
{
    for (unsigned i = 0; i < SESSION_ENDED; i++)
        if (id && ended->ids[i] == id)
            return true;
    return false;
}

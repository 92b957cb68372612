/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_wire.h"

#include <string.h>

static const char env_prefix[] = "SLUICE_DEPLOY_";

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

bool unit_is_id(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    if (!len || len == size || !strchr(letters, text[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!strchr(letters, text[i]) && text[i] != '-' && text[i] != '.')
            return false;
    return true;
}

bool unit_is_name(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return len && len < size;
}

/* "SLUICE_DEPLOY_X=value" */
static bool is_word(const char *word)
{
    size_t prefix = sizeof env_prefix - 1;
    if (strncmp(word, env_prefix, prefix) != 0)
        return false;
    size_t name = strspn(word, letters);
    return name > prefix && word[name] == '=';
}

static bool is_env(const struct unit_ask *ask)
{
    if (ask->env_len > UNIT_ENV_SIZE || (ask->env_len && ask->env[ask->env_len - 1]))
        return false;
    unsigned count = 0;
    for (size_t at = 0; at < ask->env_len; at += strlen(ask->env + at) + 1)
        if (++count > UNIT_ENV_MAX || !is_word(ask->env + at))
            return false;
    return true;
}

bool unit_is_ask(const struct unit_ask *ask)
{
    if (ask->magic != UNIT_MAGIC || !ask->number || ask->grace_ms > UNIT_GRACE_MAX_MS)
        return false;
    switch (ask->call) {
    case UNIT_START:
        return unit_is_id(ask->id, sizeof ask->id) &&
               unit_is_id(ask->release, sizeof ask->release) &&
               unit_is_name(ask->service, sizeof ask->service) && is_env(ask);
    case UNIT_STOP:
    case UNIT_LOG:
        return unit_is_id(ask->id, sizeof ask->id);
    case UNIT_LIST:
        return true;
    default:
        return false;
    }
}

static bool is_view(const struct unit_view *view)
{
    return unit_is_id(view->id, sizeof view->id) &&
           unit_is_id(view->release, sizeof view->release) &&
           unit_is_name(view->service, sizeof view->service) && view->state > UNIT_NONE &&
           view->state < UNIT_STATES && view->port <= UINT16_MAX && view->fault <= 0 &&
           view->tail_len <= UNIT_TAIL_SIZE &&
           strnlen(view->reason, sizeof view->reason) < sizeof view->reason;
}

size_t unit_message_size(const struct unit_head *head)
{
    return sizeof *head + head->count * sizeof(struct unit_view) + head->len;
}

bool unit_is_message(const struct unit_message *message, size_t size)
{
    const struct unit_head *head = &message->head;
    if (size < sizeof *head || head->magic != UNIT_MAGIC || head->status > 0 ||
        head->count > UNIT_VIEWS_MAX || head->len > UNIT_LOG_SIZE || (head->count && head->len) ||
        unit_message_size(head) != size || (!head->number && head->count != 1) ||
        strnlen(head->error, sizeof head->error) == sizeof head->error)
        return false;
    for (uint32_t i = 0; i < head->count; i++)
        if (!is_view(&message->views[i]))
            return false;
    return true;
}

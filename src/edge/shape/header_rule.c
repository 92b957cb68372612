/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/header_rule.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

bool header_rule_is_name(struct str name)
{
    return text_is_token(name) && name.len < UINT16_MAX;
}

bool header_rule_is_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    return true;
}

bool header_rule_is_ours(struct str name)
{
    static const char *const ours[] = {
        "connection", "content-length", "transfer-encoding", "host",
        "te",         "trailer",        "upgrade",           "keep-alive"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strlen(ours[i]) == name.len && !strncasecmp(ours[i], name.p, name.len))
            return true;
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config/conf_url.h"

#include <string.h>

bool conf_url_begins(struct str url, const char *prefix)
{
    size_t len = strlen(prefix);

    return url.len > len && !memcmp(url.p, prefix, len);
}

bool conf_url_is_near(struct str url, const char *scheme)
{
    const char *host = url.p + strlen(scheme);
    size_t rest, len;

    if (!conf_url_begins(url, scheme))
        return false;
    rest = url.len - strlen(scheme);
    len = *host == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/");
    if (len > rest)
        return false;
    if (!strncmp(host, "127.", 4))
        return strspn(host, "0123456789.") == len;
    return (len == 9 && !memcmp(host, "localhost", 9)) || (len == 5 && !memcmp(host, "[::1]", 5));
}

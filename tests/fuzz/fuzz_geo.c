/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as a database of addresses. It is refused, or lookups end: nothing may
 * crash or run on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge/access/geo_db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The library forgets what it has read of metadata that turn out to be wrong. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

static void look_up(const char *path, enum geo_kind kind)
{
    static const char *const addresses[] = {
        "192.0.2.1", "0.0.0.0",     "255.255.255.255",
        "::",        "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    char error[GEO_ERROR_SIZE], country[GEO_COUNTRY_LEN];
    struct geo_db *db = geo_db_open(path, kind, error);
    uint8_t ip[IP_LEN];

    for (size_t i = 0; db && i < ARRAY_LEN(addresses); i++) {
        if (!ip_parse((struct str){addresses[i], strlen(addresses[i])}, ip))
            abort();
        if (geo_db_country(db, ip, country) && (country[0] < 'A' || country[1] > 'Z'))
            abort();
        geo_db_asn(db, ip);
    }
    geo_db_close(&db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    char path[32];

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    look_up(path, GEO_COUNTRY);
    look_up(path, GEO_ASN);
    close(fd);
    return 0;
}

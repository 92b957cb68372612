/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/geo_db.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/access/geo_check.h"

enum { FD_PATH_SIZE = 32, ASN_DIGITS_MAX = 10 };

struct geo_db {
    MMDB_s mmdb;
};

/* --- what a record says: as MaxMind writes it, else as IPinfo does */

static bool is_letter(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool read_country(MMDB_entry_s *entry, const char *const *path, char *country)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
        data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != GEO_COUNTRY_LEN ||
        !is_letter(data.utf8_string[0]) || !is_letter(data.utf8_string[1]))
        return false;
    memcpy(country, data.utf8_string, GEO_COUNTRY_LEN);
    return true;
}

static bool country_of(MMDB_entry_s *entry, char *country)
{
    static const char *const paths[][3] = {{"country", "iso_code", NULL},
                                           {"country_code", NULL},
                                           {"country", NULL}};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (read_country(entry, paths[i], country))
            return true;
    return false;
}

/* "AS64496" */
static uint32_t asn_of_text(struct str text)
{
    uint64_t number = 0;

    if (text.len < 3 || text.len > 2 + ASN_DIGITS_MAX || memcmp(text.p, "AS", 2) != 0)
        return 0;
    for (size_t i = 2; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(text.p[i] - '0');
    }
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static uint32_t asn_of(MMDB_entry_s *entry)
{
    static const char *const number[] = {"autonomous_system_number", NULL};
    static const char *const text[] = {"asn", NULL};
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, number) == MMDB_SUCCESS && data.has_data &&
        data.type == MMDB_DATA_TYPE_UINT32)
        return data.uint32;
    if (MMDB_aget_value(entry, &data, text) == MMDB_SUCCESS && data.has_data &&
        data.type == MMDB_DATA_TYPE_UTF8_STRING)
        return asn_of_text((struct str){data.utf8_string, data.data_size});
    return 0;
}

static bool says_country(MMDB_entry_s *entry)
{
    char country[GEO_COUNTRY_LEN];

    return country_of(entry, country);
}

static bool says_asn(MMDB_entry_s *entry)
{
    return asn_of(entry) != 0;
}

/* --- opening */

static bool copy(int from, int to, off_t len)
{
    while (len > 0) {
        ssize_t n = sendfile(to, from, NULL, (size_t)len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0; // it was cut short: what there is is judged
        len -= n;
    }
    return true;
}

/* Copies the file into memory; what is wrong, or NULL. */
static const char *copy_file(const char *path, int to)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *wrong = NULL;
    struct stat file;

    if (from < 0)
        return strerror(errno);
    if (fstat(from, &file))
        wrong = strerror(errno);
    else if (!S_ISREG(file.st_mode))
        wrong = "it is not a file";
    else if (!copy(from, to, file.st_size))
        wrong = strerror(errno);
    close(from);
    return wrong;
}

static const char *words_of(enum status status, const char *not_found)
{
    if (status == E_NOMEM)
        return "out of memory";
    if (status == E_NOT_FOUND)
        return not_found;
    return status ? "it is damaged" : NULL;
}

static const char *check_metadata(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    enum status status;
    void *file;

    if (size <= 0)
        return "it is empty";
    file = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED)
        return strerror(errno);
    status = geo_check_metadata(file, (size_t)size);
    munmap(file, (size_t)size);
    return words_of(status, "it is no MaxMind DB file");
}

/* What is wrong, or NULL: it is open. */
static const char *open_mmdb(MMDB_s *mmdb, int fd, enum geo_kind kind)
{
    char path[FD_PATH_SIZE];
    const char *wrong;
    int problem;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    problem = MMDB_open(path, MMDB_MODE_MMAP, mmdb);
    if (problem == MMDB_IO_ERROR || problem == MMDB_FILE_OPEN_ERROR)
        return strerror(errno);
    if (problem != MMDB_SUCCESS)
        return problem == MMDB_OUT_OF_MEMORY_ERROR ? "out of memory" : "it is damaged";
    if (kind == GEO_COUNTRY)
        wrong = words_of(geo_check(mmdb, says_country), "it knows no countries");
    else
        wrong = words_of(geo_check(mmdb, says_asn), "it knows no autonomous systems");
    if (wrong)
        MMDB_close(mmdb);
    return wrong;
}

/* By way of memory without a name, which nobody else can change. */
static const char *open_file(struct geo_db *db, const char *path, enum geo_kind kind)
{
    int fd = memfd_create("sluice-geo", MFD_CLOEXEC);
    const char *wrong;

    if (fd < 0)
        return strerror(errno);
    wrong = copy_file(path, fd);
    if (!wrong)
        wrong = check_metadata(fd);
    if (!wrong)
        wrong = open_mmdb(&db->mmdb, fd, kind);
    close(fd);
    return wrong;
}

struct geo_db *geo_db_open(const char *path, enum geo_kind kind, char error[GEO_ERROR_SIZE])
{
    struct geo_db *db = calloc(1, sizeof(*db));
    const char *wrong = db ? open_file(db, path, kind) : "out of memory";

    if (!wrong)
        return db;
    snprintf(error, GEO_ERROR_SIZE, "cannot read the database: %s", wrong);
    free(db);
    return NULL;
}

void geo_db_close(struct geo_db **db)
{
    if (*db)
        MMDB_close(&(*db)->mmdb);
    free(*db);
    *db = NULL;
}

/* --- lookups */

static bool find(const struct geo_db *db, const uint8_t ip[IP_LEN], MMDB_entry_s *entry)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    MMDB_lookup_result_s found;
    bool is_v4 = ip_is_v4(ip);
    int problem;

    memcpy(&v4.sin_addr, ip + IP_LEN - sizeof(v4.sin_addr), sizeof(v4.sin_addr));
    memcpy(&v6.sin6_addr, ip, sizeof(v6.sin6_addr));
    found =
        MMDB_lookup_sockaddr(&db->mmdb,
                             is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
                             &problem);
    *entry = found.entry;
    return problem == MMDB_SUCCESS && found.found_entry;
}

bool geo_db_country(const struct geo_db *db, const uint8_t ip[IP_LEN],
                    char country[GEO_COUNTRY_LEN])
{
    MMDB_entry_s entry;

    return find(db, ip, &entry) && country_of(&entry, country);
}

uint32_t geo_db_asn(const struct geo_db *db, const uint8_t ip[IP_LEN])
{
    MMDB_entry_s entry;

    return find(db, ip, &entry) ? asn_of(&entry) : 0;
}

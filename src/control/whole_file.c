/* SPDX-License-Identifier: Apache-2.0 */
#include "control/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

void whole_file_open(struct whole_file *file, const char *path)
{
    *file = (struct whole_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0)
        snprintf(file->error, sizeof(file->error), "cannot read the copy: %s", strerror(errno));
}

static bool read_bytes(struct whole_file *file)
{
    size_t at = 0;
    ssize_t n = 1;

    while (at < file->len && n > 0) {
        n = read(file->fd, file->bytes + at, file->len - at);
        at += n > 0 ? (size_t)n : 0;
    }
    return at == file->len;
}

static bool digest(struct whole_file *file)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!EVP_Digest(file->bytes, file->len, bytes, &len, EVP_sha256(), NULL))
        return false;
    *text_hex_bytes(file->sha, bytes, len) = '\0';
    return true;
}

void whole_file_read(struct whole_file *file, size_t size_max)
{
    struct stat st;

    if (*file->error)
        return;
    if (fstat(file->fd, &st) || st.st_size < 0) {
        snprintf(file->error, sizeof(file->error), "cannot read the copy: %s", strerror(errno));
    } else if ((uintmax_t)st.st_size > size_max) {
        snprintf(file->error, sizeof(file->error), "it is too large: %lld bytes",
                 (long long)st.st_size);
    } else {
        file->len = (size_t)st.st_size;
        file->bytes = malloc(file->len + 1);
        if (!file->bytes)
            snprintf(file->error, sizeof(file->error), "out of memory");
        else if (!read_bytes(file) || !digest(file))
            snprintf(file->error, sizeof(file->error), "cannot read the whole copy");
    }
    close(file->fd);
}

void whole_file_free(struct whole_file *file)
{
    free(file->bytes);
    *file = (struct whole_file){.fd = 0};
}

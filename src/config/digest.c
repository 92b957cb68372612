/* SPDX-License-Identifier: Apache-2.0 */
#include "config/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/file.h"
#include "base/text.h"

static bool add_file(EVP_MD_CTX *context, struct str path)
{
    struct arena arena;
    struct str text;
    bool is_good;

    arena_init(&arena, NULL, 0);
    is_good = !file_read(path.p, &arena, &text) && EVP_DigestUpdate(context, text.p, text.len);
    arena_reset(&arena);
    return is_good;
}

void digest_files(const struct conf *conf, char text[DIGEST_TEXT])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char bytes[EVP_MAX_MD_SIZE];
    bool is_good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    unsigned len = 0;

    for (uint32_t i = 0; is_good && i < conf->file_count; i++)
        is_good = add_file(context, conf->files[i]);
    is_good = is_good && EVP_DigestFinal_ex(context, bytes, &len);
    EVP_MD_CTX_free(context);
    *text_hex_bytes(text, bytes, is_good ? DIGEST_TEXT / 2 : 0) = '\0';
}

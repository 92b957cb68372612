/* SPDX-License-Identifier: Apache-2.0 */
#include "http/websocket.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

bool websocket_key(char key[WEBSOCKET_KEY_SIZE])
{
    unsigned char nonce[16];

    if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
        return false;
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof(nonce));
    return true;
}

bool websocket_accept(struct str key, char accept[WEBSOCKET_ACCEPT_SIZE])
{
    char text[64 + sizeof(guid)];
    unsigned char digest[SHA_DIGEST_LENGTH];

    if (!key.len || key.len > 64)
        return false;
    memcpy(text, key.p, key.len);
    memcpy(text + key.len, guid, sizeof(guid) - 1);
    if (!SHA1((const unsigned char *)text, key.len + sizeof(guid) - 1, digest))
        return false;
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jose_alg.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

static const struct jose_alg_info algs[] = {
    [JOSE_HS256] = {"HS256", JOSE_OCT, .hash = 32, .digest = EVP_sha256},
    [JOSE_HS384] = {"HS384", JOSE_OCT, .hash = 48, .digest = EVP_sha384},
    [JOSE_HS512] = {"HS512", JOSE_OCT, .hash = 64, .digest = EVP_sha512},
    [JOSE_RS256] = {"RS256", JOSE_RSA, .hash = 32, .digest = EVP_sha256},
    [JOSE_RS384] = {"RS384", JOSE_RSA, .hash = 48, .digest = EVP_sha384},
    [JOSE_RS512] = {"RS512", JOSE_RSA, .hash = 64, .digest = EVP_sha512},
    [JOSE_PS256] = {"PS256", JOSE_RSA, .is_pss = true, .hash = 32, .digest = EVP_sha256},
    [JOSE_PS384] = {"PS384", JOSE_RSA, .is_pss = true, .hash = 48, .digest = EVP_sha384},
    [JOSE_PS512] = {"PS512", JOSE_RSA, .is_pss = true, .hash = 64, .digest = EVP_sha512},
    [JOSE_ES256] = {"ES256", JOSE_EC, .half = 32, .hash = 32, .digest = EVP_sha256},
    [JOSE_ES384] = {"ES384", JOSE_EC, .half = 48, .hash = 48, .digest = EVP_sha384},
    [JOSE_ES512] = {"ES512", JOSE_EC, .half = 66, .hash = 64, .digest = EVP_sha512},
    [JOSE_EDDSA] = {"EdDSA", JOSE_OKP, .hash = 0},
};

enum jose_alg jose_alg_find(struct str name)
{
    for (unsigned i = 0; i < ARRAY_LEN(algs); i++)
        if (str_same(name, (struct str){algs[i].name, strlen(algs[i].name)}))
            return (enum jose_alg)i;
    return JOSE_ALG_COUNT;
}

const struct jose_alg_info *jose_alg_info(enum jose_alg alg)
{
    assert(alg < JOSE_ALG_COUNT);
    return &algs[alg];
}

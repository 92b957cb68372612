/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a token is refused: one word and one sentence for each way, stable, the same in the answer's
 * error_description, in `sluice why` and in tests. None says anything of the token's contents.
 * Immutable; any thread.
 */
#ifndef EDGE_AUTH_FAULT_H
#define EDGE_AUTH_FAULT_H

#include "sluice/types.h"

/* FAULT(enum, word, sentence): the sentence has no quotes and no backslash (RFC 6750 section 3). */
#define FAULTS(FAULT)                                                                              \
    FAULT(NONE, "good", "The token is good.")                                                      \
    FAULT(LONG, "token_long", "The token is too long.")                                            \
    FAULT(PARTS, "token_parts", "The token does not have three parts.")                            \
    FAULT(BASE64, "token_base64", "A part of the token is not base64url.")                         \
    FAULT(HEADER, "header_json", "The token's header is not a JSON object in order.")              \
    FAULT(ALG, "alg_unknown", "The token's algorithm is not supported.")                           \
    FAULT(ALG_DENIED, "alg_denied", "The token's algorithm is not allowed here.")                  \
    FAULT(CRITICAL, "crit_unknown",                                                                \
          "The token's header has an extension that must be understood.")                          \
    FAULT(KEY, "key_unknown", "No key fits the token.")                                            \
    FAULT(SIGNATURE, "signature_invalid", "The token's signature is not valid.")                   \
    FAULT(PAYLOAD, "payload_json", "The token's payload is not a JSON object in order.")           \
    FAULT(CLAIM_TYPE, "claim_type", "A registered claim is not of its type, or out of range.")     \
    FAULT(EXPIRED, "expired", "The token has expired.")                                            \
    FAULT(ENDLESS, "endless", "The token does not say when it expires.")                           \
    FAULT(EARLY, "not_yet_valid", "The token is not valid yet.")                                   \
    FAULT(ISSUER, "issuer_wrong", "The token is not of the expected issuer.")                      \
    FAULT(AUDIENCE, "audience_wrong", "The token is not for this audience.")                       \
    FAULT(CLAIM, "claim_missing", "A required claim is missing or has another value.")             \
    FAULT(SCOPE, "scope_missing", "A required scope is missing.")                                  \
    FAULT(FORWARD, "claim_unfit", "A claim to forward cannot stand in a header.")                  \
    FAULT(MEMORY, "memory", "Memory ended.")

enum fault {
#define FAULT(id, word, sentence) FAULT_##id,
    FAULTS(FAULT)
#undef FAULT
        FAULT_COUNT
};

/* "alg_unknown" */
const char *fault_word(enum fault fault);
/* "The token's algorithm is not supported." */
const char *fault_sentence(enum fault fault);

#endif

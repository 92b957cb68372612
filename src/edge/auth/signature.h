/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP Message Signatures (RFC 9421) of requests: what Signature-Input and Signature say, and the
 * text that is signed. Read strictly: what is malformed, or there twice, is no signature. Component
 * parameters are `bs` of fields and `name` of @query-param; `sf`, `key`, `req` and `tr` are not
 * supported, and a signature with them is refused. Pure; any thread.
 */
#ifndef EDGE_AUTH_SIGNATURE_H
#define EDGE_AUTH_SIGNATURE_H

#include "base/arena.h"
#include "sluice/head.h"

enum {
    SIGNATURE_LABELS_MAX = 8,
    SIGNATURE_COMPONENTS_MAX = 32,
    SIGNATURE_PARAMS_MAX = 2048, /* bytes of a signature's list of components and parameters */
};

/* FAULT(enum, word, sentence), in the order in which they are found: of several signatures the last
 * one of these is the one to tell of. */
#define SIGNATURE_FAULTS(FAULT)                                                                    \
    FAULT(NONE, "good", "The signature is good.")                                                  \
    FAULT(ABSENT, "no_signature", "The request is not signed.")                                    \
    FAULT(SYNTAX, "malformed", "Signature-Input or Signature is malformed.")                       \
    FAULT(LABEL, "label_missing", "A label is in one of Signature-Input and Signature alone.")     \
    FAULT(TAG, "tag_wrong", "The signature is not tagged for this.")                               \
    FAULT(ALG, "alg_denied", "The signature's algorithm is not hmac-sha256.")                      \
    FAULT(KEY, "key_unknown", "The signature names no key that is known.")                         \
    FAULT(COMPONENT, "component_unsupported", "A signed component is not supported.")              \
    FAULT(MISSING, "component_missing", "A component that must be signed is not.")                 \
    FAULT(CREATED, "created_missing", "The signature does not say when it was made.")              \
    FAULT(FUTURE, "created_in_future", "The signature was made in the future.")                    \
    FAULT(EXPIRED, "expired", "The signature is too old.")                                         \
    FAULT(NONCE, "nonce_missing", "The signature has no nonce.")                                   \
    FAULT(DIGEST, "digest_missing", "The request has a body that is not signed.")                  \
    FAULT(DIGEST_SYNTAX, "digest_malformed", "Content-Digest has no digest that can be checked.")  \
    FAULT(ABSENT_FIELD, "field_absent", "A signed field or parameter is not in the request once.") \
    FAULT(INVALID, "signature_invalid", "The signature is not valid.")                             \
    FAULT(CONTENT, "digest_wrong", "The body is not the one that was signed.")                     \
    FAULT(REPLAYED, "replayed", "The signature has been used before.")                             \
    FAULT(FULL, "replay_memory_full", "There is no room to remember the signature.")               \
    FAULT(MEMORY, "memory", "Memory ended.")

enum signature_fault {
#define FAULT(id, word, sentence) SIGNATURE_##id,
    SIGNATURE_FAULTS(FAULT)
#undef FAULT
        SIGNATURE_FAULT_COUNT
};

/* "alg_denied" */
const char *signature_word(enum signature_fault fault);
/* "The signature's algorithm is not hmac-sha256.": without quotes and backslashes. */
const char *signature_sentence(enum signature_fault fault);

struct signature_component {
    struct str name;  /* lower case: "date", "@method" */
    struct str text;  /* as it is signed: "\"date\";bs" */
    struct str param; /* of @query-param: its name as it is encoded */
    bool is_bytes;    /* `bs` */
};

/* One signature. */
struct signature {
    struct str label;
    struct str params; /* the value of @signature-params, in `text` */
    struct signature_component components[SIGNATURE_COMPONENTS_MAX];
    unsigned count;
    bool has_created, has_expires;
    int64_t created, expires;          /* Unix seconds */
    struct str keyid, alg, nonce, tag; /* between their quotes; absent: not there */
    uint8_t bytes[32];                 /* an HMAC-SHA-256 */
    bool has_bytes;                    /* it has as many bytes as that */
    char text[SIGNATURE_PARAMS_MAX + SIGNATURE_COMPONENTS_MAX];
};

/* All signatures of a request, by label; where their texts stand. */
struct signature_set {
    unsigned count;
    struct {
        struct str label, input, digits; /* digits absent: it has no signature */
    } items[SIGNATURE_LABELS_MAX];
};

/* NONE, ABSENT, SYNTAX or MEMORY. What is joined from several fields is in `arena`. */
enum signature_fault signature_set_read(struct signature_set *set, const struct head *head,
                                        struct arena *arena);
/* The one at that index: NONE, LABEL or COMPONENT. */
enum signature_fault signature_read(struct signature *signature, const struct signature_set *set,
                                    unsigned index);
/* Whether it signs a component of that name; @target-uri stands for those that it is made of. */
bool signature_covers(const struct signature *signature, struct str name);

/* What is signed of a request, beside its head. */
struct signature_message {
    const struct head *head;
    struct str scheme;    /* "http" or "https" */
    struct str authority; /* as the client said it */
};

/* The signature base (section 2.5) in `arena`. NONE, COMPONENT, ABSENT_FIELD or MEMORY. */
enum signature_fault signature_base(const struct signature *signature,
                                    const struct signature_message *message, struct arena *arena,
                                    struct str *base);

#endif

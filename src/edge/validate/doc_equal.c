/* SPDX-License-Identifier: Apache-2.0
 *
 * When two values of JSON are the same. The depth of both is bounded by what read them.
 */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/random.h"
#include "edge/validate/decimal.h"
#include "edge/validate/doc.h"

static bool spend(uint64_t *steps, uint64_t n)
{
    if (*steps <= n) {
        *steps = 0;
        return false;
    }
    *steps -= n;
    return true;
}

static bool are_numbers_equal(const struct doc_value *a, const struct doc_value *b, uint64_t *steps)
{
    struct decimal x, y;

    if (!spend(steps, ((uint64_t)a->len + b->len) / DOC_BYTES_A_STEP))
        return false;
    x = decimal_read(doc_text(a));
    y = decimal_read(doc_text(b));
    return !decimal_compare(&x, &y);
}

static bool are_lists_equal(const struct doc_value *a, const struct doc_value *b, uint64_t *steps)
{
    const struct doc_value *x = a->first, *y = b->first;

    for (; x && y; x = x->next, y = y->next)
        if (!doc_equal(x, y, steps))
            return false;
    return true;
}

/* Names come once: as many of them, and each in the other, are the same ones. */
static bool are_maps_equal(const struct doc_value *a, const struct doc_value *b, uint64_t *steps)
{
    for (const struct doc_value *x = a->first; x; x = x->next) {
        const struct doc_value *y;

        if (!spend(steps, b->len))
            return false;
        y = doc_find(b, doc_name(x));
        if (!y || !doc_equal(x, y, steps))
            return false;
    }
    return true;
}

bool doc_equal(const struct doc_value *a, const struct doc_value *b, uint64_t *steps)
{
    if (!spend(steps, 1) || a->type != b->type)
        return false;
    switch ((enum doc_type)a->type) {
    case DOC_NULL:
        return true;
    case DOC_BOOL:
        return a->len == b->len;
    case DOC_NUMBER:
        return are_numbers_equal(a, b, steps);
    case DOC_TEXT:
        return str_same(doc_text(a), doc_text(b));
    case DOC_LIST:
        return a->len == b->len && are_lists_equal(a, b, steps);
    case DOC_MAP:
        return a->len == b->len && are_maps_equal(a, b, steps);
    }
    return false;
}

static uint64_t hash_bytes(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.p, s.len, seed);
}

static uint64_t hash_children(const struct doc_value *value, uint64_t seed, uint64_t *steps)
{
    uint64_t hash = value->type;

    for (const struct doc_value *at = value->first; at && spend(steps, 1); at = at->next) {
        uint64_t one = doc_hash(at, seed, steps);

        if (value->type == DOC_MAP) // in any order
            hash += random_mix(one ^ hash_bytes(doc_name(at), seed));
        else
            hash = random_mix(hash ^ one);
    }
    return hash;
}

uint64_t doc_hash(const struct doc_value *value, uint64_t seed, uint64_t *steps)
{
    struct decimal number;

    switch ((enum doc_type)value->type) {
    case DOC_NUMBER:
        number = decimal_read(doc_text(value));
        return random_mix(seed ^ decimal_hash(&number));
    case DOC_TEXT:
        return hash_bytes(doc_text(value), seed);
    case DOC_LIST:
    case DOC_MAP:
        return random_mix(seed ^ hash_children(value, seed, steps));
    default:
        return random_mix(seed + value->type * UINT64_C(2) + value->len);
    }
}

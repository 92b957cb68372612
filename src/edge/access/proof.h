/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that a client proves to have done. A challenge is the time until which its solution holds
 * and a keyed hash of that and of the client; a solution is the challenge and a number, chosen so
 * that the SHA-256 of the whole text begins with so many zero bits: nothing is kept to check it.
 * Pure; any thread.
 */
#ifndef EDGE_ACCESS_PROOF_H
#define EDGE_ACCESS_PROOF_H

#include "base/ip.h"

enum {
    PROOF_KEY_LEN = 32,
    PROOF_TIME_LEN = 8, /* hexadecimal digits: seconds since 1970 */
    PROOF_MAC_LEN = 32, /* hexadecimal digits */
    PROOF_CHALLENGE_LEN = PROOF_TIME_LEN + 1 + PROOF_MAC_LEN,
    PROOF_NUMBER_LEN = 10, /* decimal digits at most: all of it is one block of SHA-256 */
    PROOF_BITS_MAX = 24,
};

/* For a client of that address, an IPv6 one by its /64. */
void proof_challenge(const uint8_t key[PROOF_KEY_LEN], const uint8_t ip[IP_LEN], uint32_t until_s,
                     char challenge[PROOF_CHALLENGE_LEN]);
/* Whether it is one for this client, holds at `now_s`, and cost `bits` bits of work. */
bool proof_holds(const uint8_t key[PROOF_KEY_LEN], const uint8_t ip[IP_LEN], uint64_t now_s,
                 unsigned bits, struct str solution);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A sequence lock whose data are words with an order of their own: a reader that saw a new word has
 * seen the odd turn, too.
 */
#include "edge/metric/note.h"

#include <string.h>

void note_write(struct note *note, struct str text)
{
    uint64_t words[ARRAY_LEN(note->words)] = {0}, turn;

    turn = __atomic_load_n(&note->turn, __ATOMIC_RELAXED);
    if (text.len)
        memcpy(words, text.p, text.len < NOTE_MAX ? text.len : NOTE_MAX);
    __atomic_store_n(&note->turn, turn + 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        __atomic_store_n(&note->words[i], words[i], __ATOMIC_RELEASE);
    __atomic_store_n(&note->turn, turn + 2, __ATOMIC_RELEASE);
}

struct str note_read(const struct note *note, char *out)
{
    uint64_t words[ARRAY_LEN(note->words)], before, after;

    do {
        before = __atomic_load_n(&note->turn, __ATOMIC_ACQUIRE);
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            words[i] = __atomic_load_n(&note->words[i], __ATOMIC_ACQUIRE);
        after = __atomic_load_n(&note->turn, __ATOMIC_RELAXED);
    } while (before != after || before % 2);
    memcpy(out, words, NOTE_MAX);
    out[NOTE_MAX] = '\0';
    return (struct str){out, strlen(out)};
}

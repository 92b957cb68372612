/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/fault.h"

#include <assert.h>

static const struct {
    const char *word, *sentence;
} faults[] = {
#define FAULT(id, word, sentence) [FAULT_##id] = {word, sentence},
    FAULTS(FAULT)
#undef FAULT
};

const char *fault_word(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return faults[fault].word;
}

const char *fault_sentence(enum fault fault)
{
    assert(fault < FAULT_COUNT);
    return faults[fault].sentence;
}

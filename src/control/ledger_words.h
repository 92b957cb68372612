/* SPDX-License-Identifier: Apache-2.0
 *
 * What control did, from its entry in the ledger, as a sentence without full stop. Called by
 * `sluice history` and by notices. Pure.
 */
#ifndef CONTROL_LEDGER_WORDS_H
#define CONTROL_LEDGER_WORDS_H

#include <jansson.h>

#include "sluice/types.h"

enum { LEDGER_WORDS = 640 };

/* False: there are no words for such an entry; what is another than before says it. */
bool ledger_words(const json_t *entry, char text[LEDGER_WORDS]);

#endif

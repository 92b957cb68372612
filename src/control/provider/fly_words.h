/* SPDX-License-Identifier: Apache-2.0
 *
 * A command line of fly.toml in words, quoted as a shell's are and with nothing expanded, as flyctl
 * takes it (google/shlex). Pure.
 */
#ifndef CONTROL_PROVIDER_FLY_WORDS_H
#define CONTROL_PROVIDER_FLY_WORDS_H

#include <jansson.h>

/* An array of texts, to be decref'd. NULL: a quote is not closed, the line ends in a backslash, or
 * there is no memory. */
json_t *fly_words(const char *line);

#endif

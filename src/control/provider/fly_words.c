/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_words.h"

#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

/* Copies what is between quotes; `line` stands behind the first. Returns what follows the last,
 * NULL: there is none. */
static const char *take_quoted(const char *line, char quote, char *word, size_t *len)
{
    while (*line && *line != quote) {
        if (*line == '\\' && quote == '"' && line[1])
            line++;
        word[(*len)++] = *line++;
    }
    return *line ? line + 1 : NULL;
}

/* Copies the word at `line`; returns what follows, NULL: it does not end. */
static const char *take_word(const char *line, char *word, size_t *len)
{
    *len = 0;
    while (line && *line && !strchr(blanks, *line)) {
        if (*line == '\'' || *line == '"') {
            line = take_quoted(line + 1, *line, word, len);
            continue;
        }
        if (*line == '\\' && !*++line)
            return NULL;
        word[(*len)++] = *line++;
    }
    return line;
}

json_t *fly_words(const char *line)
{
    char *word = malloc(strlen(line) + 1);
    json_t *words = json_array();

    while (word && line && *(line += strspn(line, blanks)) && *line != '#') {
        size_t len;

        line = take_word(line, word, &len);
        if (line && json_array_append_new(words, json_stringn(word, len)))
            line = NULL;
    }
    free(word);
    if (word && line)
        return words;
    json_decref(words);
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * fly.toml and the files that it names, from disk.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "control/provider/fly_machine.h"
#include "control/provider/fly_toml.h"
#include "control/provider/toml.h"

/* Into `arena`, which holds nothing but it. */
static bool read_whole(const char *path, struct arena *arena, struct str *text, char *why)
{
    enum status status = file_read(path, arena, text);

    if (!status && text->len > FLY_TOML_SIZE_MAX)
        snprintf(why, FLY_TOML_WHY_SIZE, "%.180s has more than %d KiB", path,
                 FLY_TOML_SIZE_MAX >> 10);
    else if (status == E_NOT_FOUND)
        snprintf(why, FLY_TOML_WHY_SIZE, "%.180s: there is no such file", path);
    else if (status)
        snprintf(why, FLY_TOML_WHY_SIZE, "%.180s: %s", path,
                 status == E_NOMEM ? "out of memory" : strerror(errno));
    else
        return true;
    return false;
}

static json_t *base64(struct str bytes)
{
    char *text = malloc((bytes.len + 2) / 3 * 4 + 1);
    json_t *value = NULL;

    if (text &&
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.p, (int)bytes.len) >= 0)
        value = json_string(text);
    free(text);
    return value;
}

/* What becomes of a file in the machine: what is on disk here, what is written, or a secret. */
static bool encode(json_t *file, char *why)
{
    const char *path = fly_machine_text(file, "local_path");
    const char *raw = fly_machine_text(file, "raw_value");
    struct str bytes = {raw, strlen(raw)};
    struct arena arena;
    bool is_good;

    arena_init(&arena, NULL, 0);
    is_good = !*path || read_whole(path, &arena, &bytes, why);
    if (is_good && (*path || *raw)) {
        is_good = !json_object_set_new(file, "raw_value", base64(bytes));
        if (!is_good)
            snprintf(why, FLY_TOML_WHY_SIZE, "out of memory");
    }
    arena_reset(&arena);
    return is_good;
}

static bool encode_all(json_t *toml, char *why)
{
    json_t *files = json_object_get(toml, "files"), *file;
    size_t i;

    json_array_foreach(files, i, file)
    {
        if (!encode(file, why))
            return false;
    }
    return true;
}

static json_t *parse(const char *path, struct str text, char *why)
{
    char trouble[JSON_ERROR_TEXT_LENGTH] = "out of memory";
    char *json = toml_json(text.p, text.len, trouble, sizeof(trouble));
    json_error_t error = {.text = ""};
    json_t *toml = json ? json_loads(json, 0, &error) : NULL;

    free(json);
    if (!toml) // one that is TOML and no JSON has a NUL in a text
        snprintf(why, FLY_TOML_WHY_SIZE, "%.150s: %.160s", path, json ? error.text : trouble);
    return toml;
}

json_t *fly_toml_read(const char *path, char why[FLY_TOML_WHY_SIZE])
{
    struct arena arena;
    struct str text;
    json_t *toml = NULL;

    arena_init(&arena, NULL, 0);
    if (read_whole(path, &arena, &text, why))
        toml = parse(path, text, why);
    arena_reset(&arena);
    if (toml && encode_all(toml, why))
        return toml;
    json_decref(toml);
    return NULL;
}

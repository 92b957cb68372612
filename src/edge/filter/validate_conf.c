/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles the validate filter: its file is read, and all that is wrong with it is an error of the
 * configuration with its own place.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/file.h"
#include "edge/filter/validate_visit.h"

enum { FILE_MAX = 8 * 1024 * 1024, BODY_MAX = 16 * 1024 * 1024 };

static const char *const unknown_words[] = {"refuse", "pass", NULL};

const struct field validate_fields[] = {
    {.name = "schema",
     .doc =
         "A file with the JSON Schema that request bodies have to fit: 2020-12 or draft-07, JSON "
         "or YAML; a relative path begins where this file lies.",
     .type = FIELD_TEXT,
     FIELD_AT(struct validate_conf, schema_file)},
    {.name = "openapi",
     .doc = "In its place an OpenAPI document (3.0, 3.1), JSON or YAML: its paths, methods, "
            "parameters and request bodies are what may come. Bodies of other types than JSON, and "
            "of operations that have none, pass unread; %2F in a path stays within its segment.",
     .type = FIELD_TEXT,
     FIELD_AT(struct validate_conf, openapi_file)},
    {.name = "base_path",
     .doc = "Where the document's paths begin, in place of what its `servers` say.",
     .type = FIELD_TEXT,
     FIELD_AT(struct validate_conf, base_path)},
    {.name = "unknown_paths",
     .doc = "What becomes of paths that the document does not have.",
     .standard = "refuse",
     .type = FIELD_ENUM,
     .words = unknown_words,
     FIELD_AT(struct validate_conf, unknown_paths)},
    {.name = "max_body",
     .doc = "Bytes of a body that is gathered to be validated; larger ones are refused.",
     .standard = "1MiB",
     .type = FIELD_SIZE,
     .min = 1,
     .max = BODY_MAX,
     FIELD_AT(struct validate_conf, body_max)},
    {.name = "dry_run",
     .doc = "Only counts what would have been refused.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct validate_conf, dry_run)},
    FIELD_END,
};

bool validate_check(void *conf, struct span at, struct diag *diag)
{
    const struct validate_conf *validate = conf;

    if (!validate->schema_file.s.len == !validate->openapi_file.s.len) {
        diag_error(diag, at, "expected one of schema and openapi");
        return false;
    }
    if (validate->base_path.s.len && !validate->openapi_file.s.len) {
        diag_error(diag, validate->base_path.at, "base_path goes with openapi");
        return false;
    }
    if (!validate->base_path.s.len || validate->base_path.s.p[0] == '/')
        return true;
    diag_error(diag, validate->base_path.at, "a path begins with a slash");
    return false;
}

/* Beside the file that names it. */
static struct str find_file(const struct conf_text *path, struct arena *arena)
{
    struct str name = path->at.source ? path->at.source->name : STR("");
    const char *slash = name.len ? memrchr(name.p, '/', name.len) : NULL;
    struct str folder = {name.p, slash ? (size_t)(slash + 1 - name.p) : 0};

    if (path->s.len && path->s.p[0] == '/')
        folder.len = 0;
    return arena_format(arena, "%.*s%.*s", STR_FMT(folder), STR_FMT(path->s));
}

static const struct source *read_file(const struct conf_text *path, struct arena *scratch,
                                      struct diag *diag)
{
    struct str name = find_file(path, scratch), text;
    const char *problem = NULL;
    const struct source *source;
    struct stat found;

    if (!name.p)
        problem = "out of memory";
    else if (memchr(name.p, 0, name.len))
        problem = "it names no file";
    else if (stat(name.p, &found))
        problem = strerror(errno);
    else if (!S_ISREG(found.st_mode)) // others could block, or never end
        problem = "it is not a regular file";
    else if (found.st_size > FILE_MAX)
        problem = "it is larger than 8 MiB";
    else if (file_read(name.p, scratch, &text))
        problem = strerror(errno);
    if (problem) {
        diag_error(diag, path->at, "cannot read %.*s: %s", STR_FMT(path->s), problem);
        return NULL;
    }
    source = diag_source(diag, name, text);
    if (!source)
        diag_error(diag, path->at, "out of memory");
    return source;
}

static bool compile(struct validate_conf *validate, struct jschema_book *book)
{
    struct str base = validate->base_path.s;

    if (validate->openapi_file.s.len) {
        validate->api = openapi_compile(book, base.len ? base : STR_NONE);
        return validate->api;
    }
    if (jschema_read_dialect(book))
        validate->schema = jschema_compile(book, book->root);
    return validate->schema;
}

bool validate_prepare(void *conf, const struct filter_prepare *prepare)
{
    struct validate_conf *validate = conf;
    struct jschema_book book = {.arena = prepare->arena, .diag = prepare->diag};
    const struct conf_text *path =
        validate->schema_file.s.len ? &validate->schema_file : &validate->openapi_file;
    const struct source *source;
    unsigned before = prepare->diag->errors;
    struct arena scratch;
    bool is_good = false;

    if (getrandom(&validate->seed, sizeof(validate->seed), 0) < 0)
        validate->seed = (uintptr_t)validate;
    arena_init(&scratch, NULL, 0);
    source = read_file(path, &scratch, prepare->diag);
    book.root = source ? yaml_read(source, &scratch, prepare->diag) : NULL;
    if (book.root)
        is_good = compile(validate, &book) && prepare->diag->errors == before;
    validate->patterns = book.patterns;
    arena_reset(&scratch);
    return is_good;
}

void validate_dispose(void *conf)
{
    struct validate_conf *validate = conf;

    ecma_free(&validate->patterns);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML text to nodes, by libyaml's events. Called by load.c for each file. Positions of libyaml
 * count characters; the cursor turns them into bytes. Aliases, anchors, tags, further documents and
 * duplicate keys are errors.
 */
#include <ctype.h>
#include <string.h>
#include <yaml.h>

#include "config/surrogate.h"
#include "config/tree.h"

enum { KEY_MAX = 1024 }; /* libyaml gives up on longer ones */

struct frame {
    struct node *node;
    bool has_key; /* map: a key stands and waits for its value */
};

struct reader {
    yaml_parser_t parser;
    const struct source *source;
    struct arena *arena;
    struct diag *diag;
    struct surrogates surrogates;
    bool is_ascii;
    size_t chars, bytes; /* the cursor: so many characters are so many bytes */
    struct frame stack[TREE_DEPTH_MAX];
    unsigned depth, documents;
    struct node *root;
    struct span last; /* the last scalar, for what libyaml says badly */
};

static bool is_all_ascii(struct str s)
{
    uint64_t seen = 0;

    for (size_t i = 0; i < s.len; i++)
        seen |= (unsigned char)s.p[i];
    return seen < 0x80;
}

/* Byte offset of a character; nearly always asked in ascending order. */
static uint32_t byte_of(struct reader *reader, size_t index)
{
    struct str text = reader->source->text;

    if (reader->is_ascii)
        return (uint32_t)(index < text.len ? index : text.len);
    if (index < reader->chars)
        reader->chars = reader->bytes = 0;
    while (reader->chars < index && reader->bytes < text.len) {
        do
            reader->bytes++;
        while (reader->bytes < text.len && (text.p[reader->bytes] & 0xc0) == 0x80);
        reader->chars++;
    }
    return (uint32_t)reader->bytes;
}

static struct span span_of(struct reader *reader, const yaml_event_t *event)
{
    uint32_t begin = byte_of(reader, event->start_mark.index), end;
    size_t chars = reader->chars, bytes = reader->bytes;

    end = byte_of(reader, event->end_mark.index);
    reader->chars = chars;
    reader->bytes = bytes;
    return (struct span){reader->source, begin, end > begin ? end - begin : 0};
}

static void wrong(struct reader *reader, struct span at, const char *text)
{
    diag_error(reader->diag, at, "%s", text);
}

/* Puts a node where the innermost open collection expects one. */
static bool attach(struct reader *reader, struct node *node)
{
    struct frame *top = reader->depth ? &reader->stack[reader->depth - 1] : NULL;

    if (!top) {
        reader->root = node;
        return true;
    }
    if (top->node->kind == NODE_MAP) {
        if (!top->has_key && node->kind != NODE_SCALAR) {
            wrong(reader, tree_span(node), "a key must be a single value");
            return false;
        }
        top->has_key = !top->has_key;
    }
    tree_append(top->node, node);
    return true;
}

static struct node *make_node(struct reader *reader, enum node_kind kind, struct span at)
{
    struct node *node = arena_zero(reader->arena, 1, sizeof(*node));

    if (!node) {
        wrong(reader, at, "out of memory");
        return NULL;
    }
    node->kind = (uint8_t)kind;
    node->source = at.source;
    node->offset = at.offset;
    node->length = at.length;
    return node;
}

static void check_properties(struct reader *reader, struct node *node, const void *anchor,
                             const void *tag)
{
    if (anchor)
        wrong(reader, tree_span(node), "anchors and aliases are not allowed");
    if (tag)
        wrong(reader, tree_span(node), "tags are not allowed");
    node->is_broken = anchor || tag;
}

/* The value where it stands in the source as it is, else a copy. */
static struct str keep_text(struct reader *reader, const yaml_event_t *event, struct span at)
{
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *raw = reader->source->text.p + at.offset + !is_plain;
    struct surrogate_scalar scalar = {text, at.offset, at.offset + at.length,
                                      event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE};

    if (text.len + !is_plain <= at.length && memcmp(raw, text.p, text.len) == 0)
        return (struct str){raw, text.len};
    text = surrogate_restore(&reader->surrogates, &scalar, reader->arena);
    if (!text.p)
        wrong(reader, at,
              "cannot tell surrogate escapes from private-use ones; write the characters");
    return text.p && text.p != scalar.text.p ? text : arena_copy(reader->arena, scalar.text);
}

static bool on_scalar(struct reader *reader, const yaml_event_t *event, struct span at)
{
    struct node *node = make_node(reader, NODE_SCALAR, at);

    if (!node)
        return false;
    reader->last = at;
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    check_properties(reader, node, event->data.scalar.anchor, event->data.scalar.tag);
    node->text = keep_text(reader, event, at);
    if (!node->text.p)
        return false;
    if (memchr(node->text.p, '\0', node->text.len)) {
        wrong(reader, at, "a value cannot hold a NUL character");
        node->is_broken = true;
    }
    return attach(reader, node);
}

static bool on_start(struct reader *reader, struct node *node)
{
    if (!node || !attach(reader, node))
        return false;
    if (reader->depth == TREE_DEPTH_MAX) {
        wrong(reader, tree_span(node), "nested more than 64 deep");
        return false;
    }
    reader->stack[reader->depth++] = (struct frame){.node = node};
    return true;
}

static bool on_list(struct reader *reader, const yaml_event_t *event, struct span at)
{
    struct node *node;

    at.length = 1;
    node = make_node(reader, NODE_LIST, at);
    if (node)
        check_properties(reader, node, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag);
    return on_start(reader, node);
}

static bool on_map(struct reader *reader, const yaml_event_t *event, struct span at)
{
    struct node *node;

    at.length = event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    node = make_node(reader, NODE_MAP, at);
    if (node)
        check_properties(reader, node, event->data.mapping_start.anchor,
                         event->data.mapping_start.tag);
    return on_start(reader, node);
}

/* A block map is shown by its first key. */
static bool on_end(struct reader *reader)
{
    struct node *node = reader->stack[--reader->depth].node;

    if (node->kind != NODE_MAP)
        return true;
    tree_check_unique(node, reader->diag, "key");
    if (!node->length && node->child.first) {
        node->offset = node->child.first->offset;
        node->length = node->child.first->length;
    }
    return true;
}

static bool on_alias(struct reader *reader, struct span at)
{
    struct node *node = make_node(reader, NODE_SCALAR, at);

    if (!node)
        return false;
    node->text = STR("");
    check_properties(reader, node, node, NULL);
    return attach(reader, node);
}

static bool on_document(struct reader *reader, struct span at)
{
    if (++reader->documents == 1)
        return true;
    wrong(reader, at, "a second document: a file holds one");
    return false;
}

static bool on_event(struct reader *reader, const yaml_event_t *event)
{
    struct span at = span_of(reader, event);

    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event, at);
    case YAML_SEQUENCE_START_EVENT:
        return on_list(reader, event, at);
    case YAML_MAPPING_START_EVENT:
        return on_map(reader, event, at);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(reader);
    case YAML_ALIAS_EVENT:
        return on_alias(reader, at);
    case YAML_DOCUMENT_START_EVENT:
        return on_document(reader, at);
    default:
        return true;
    }
}

/* How libyaml says it, how we do. */
static const struct {
    const char *problem, *text, *hint;
} sayings[] = {
    {"could not find expected ':'", "expected ':' after this key", NULL},
    {"mapping values are not allowed in this context", "a key cannot stand here",
     "is the indentation right? a text with \": \" in it needs quotes"},
    {"did not find expected key", "expected a key here", "is the indentation right?"},
    {"did not find expected '-' indicator", "expected \"- \" here", "is the indentation right?"},
    {"found unexpected end of stream", "a quote is never closed", NULL},
    {"found invalid Unicode character escape code", "half of a surrogate pair is no character",
     "write the character itself"},
    {"did not find expected ',' or '}'", "expected ',' or '}'",
     "a value with {, }, [, ] or a comma in it needs quotes"},
    {"did not find expected node content", "a value is missing here", NULL},
    {"did not find expected ',' or ']'", "expected ',' or ']'",
     "a value with {, }, [, ] or a comma in it needs quotes"},
};

static bool is_long_key(const struct reader *reader, struct span at)
{
    struct str text = reader->source->text;
    const char *line = at.offset ? memrchr(text.p, '\n', at.offset) : NULL;
    const char *colon = memchr(text.p + at.offset, ':', text.len - at.offset);
    size_t begin = line ? (size_t)(line + 1 - text.p) : 0;

    if (reader->last.length > KEY_MAX && at.offset >= reader->last.offset)
        return true;
    return colon && (size_t)(colon - text.p) - begin > KEY_MAX &&
           !memchr(text.p + begin, '\n', (size_t)(colon - text.p) - begin);
}

static void report_character(struct reader *reader, struct span at)
{
    char c = at.offset < at.source->text.len ? at.source->text.p[at.offset] : ' ';

    if (c == '\t') {
        wrong(reader, at, "a tab cannot be used for indentation");
        diag_hint(reader->diag, "use spaces");
        return;
    }
    diag_error(reader->diag, at, "a value cannot begin with '%c'", c);
    diag_hint(reader->diag, "put it in quotes");
}

static void report_saying(struct reader *reader, struct span at, const char *problem)
{
    for (size_t i = 0; i < ARRAY_LEN(sayings); i++) {
        if (strcmp(problem, sayings[i].problem) != 0)
            continue;
        wrong(reader, at, sayings[i].text);
        if (sayings[i].hint)
            diag_hint(reader->diag, "%s", sayings[i].hint);
        return;
    }
    wrong(reader, at, problem);
}

/* Where the thing began says more than where libyaml gave up. */
static bool points_back(const char *problem)
{
    return strcmp(problem, "could not find expected ':'") == 0 ||
           strcmp(problem, "found unexpected end of stream") == 0;
}

static void report_problem(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "out of memory";
    struct span at = {reader->source, 0, 1};

    if (parser->error == YAML_READER_ERROR) {
        at.offset = (uint32_t)parser->problem_offset;
        wrong(reader, at, problem);
        return;
    }
    if (parser->error != YAML_MEMORY_ERROR)
        at.offset = byte_of(reader, parser->problem_mark.index);
    if (points_back(problem) && parser->context_mark.index <= parser->problem_mark.index)
        at.offset = byte_of(reader, parser->context_mark.index);
    if (is_long_key(reader, at)) {
        wrong(reader, at, "a key is longer than 1,024 bytes");
        return;
    }
    if (strcmp(problem, "found character that cannot start any token") == 0)
        report_character(reader, at);
    else
        report_saying(reader, at, problem);
}

static bool read_events(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        bool is_good;
        if (!yaml_parser_parse(&reader->parser, &event)) {
            report_problem(reader);
            return false;
        }
        type = event.type;
        is_good = on_event(reader, &event);
        yaml_event_delete(&event);
        if (!is_good)
            return false;
        if (type == YAML_STREAM_END_EVENT)
            return true;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* The rest of the line behind `word`, if it stands there as a key. */
static void hide_value(struct reader *reader, const char *word, size_t len)
{
    struct str text = reader->source->text;
    const char *end = text.p + text.len, *at = word + len, *line_end;

    while (at < end && strchr("\"' ", *at))
        at++;
    if (at == end || *at != ':' || (word > text.p && is_word(word[-1])))
        return;
    line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end)
        line_end = end;
    diag_hide(reader->diag, (struct span){reader->source, (uint32_t)(at + 1 - text.p),
                                          (uint32_t)(line_end - at - 1)});
}

/* What is no YAML has no fields, so what looks like a secret counts as one. */
static void hide_secrets(struct reader *reader)
{
    static const struct str words[] = {STR_INIT("token"), STR_INIT("secret"), STR_INIT("password")};
    struct str text = reader->source->text;

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *at = text.p, *end = text.p + text.len;

        while ((at = memmem(at, (size_t)(end - at), words[i].p, words[i].len))) {
            hide_value(reader, at, words[i].len);
            at += words[i].len;
        }
    }
}

struct node *yaml_read(const struct source *source, struct arena *arena, struct diag *diag)
{
    struct reader reader = {.source = source, .arena = arena, .diag = diag};
    struct str text = surrogate_hide(&reader.surrogates, source->text, arena);
    bool is_good = false;

    reader.is_ascii = is_all_ascii(source->text);
    if (!text.p || !yaml_parser_initialize(&reader.parser)) {
        diag_error(diag, (struct span){source, 0, 0}, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.p, text.len);
    is_good = read_events(&reader);
    if (!is_good)
        hide_secrets(&reader);
    yaml_parser_delete(&reader.parser);
    if (is_good && !reader.root)
        reader.root = make_node(&reader, NODE_MAP, (struct span){source, 0, 0});
    return is_good ? reader.root : NULL;
}

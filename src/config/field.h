/* SPDX-License-Identifier: Apache-2.0
 *
 * Field tables: what a map of the configuration may hold. One table says for each key how it is
 * parsed, checked, defaulted and documented; the decoder, "did you mean", the JSON Schema and the
 * reference text all read it. Tables are const arrays that end in FIELD_END; a filter has one of
 * its own.
 */
#ifndef CONFIG_FIELD_H
#define CONFIG_FIELD_H

#include "config/conf_text.h"

struct conf;
struct conf_world;
struct field;
struct node;

/* What a member holds, and in the comment its C type. */
enum field_type {
    FIELD_BOOL,     /* bool */
    FIELD_INT,      /* uint16_t, uint32_t or uint64_t, by size */
    FIELD_TEXT,     /* struct conf_text, terminated by a NUL that is not counted */
    FIELD_DURATION, /* uint32_t or uint64_t, milliseconds: "5s" */
    FIELD_SIZE,     /* uint32_t or uint64_t, bytes: "16KiB" */
    FIELD_RATE,     /* uint64_t, bytes a second: "1KiB/s" */
    FIELD_SHARE,    /* uint32_t, parts per million: "20%" */
    FIELD_RATIO,    /* uint32_t, thousandths: "1.5x" */
    FIELD_ENUM,     /* any enum: index in words */
    FIELD_ADDRESS,  /* struct conf_address */
    FIELD_LIST,     /* pointer to elements, uint32_t at count_offset; each as `element` says */
    FIELD_OBJECT,   /* a struct in place, its table in `fields` */
    FIELD_MAP,   /* name -> object: as a list of structs; each name is a conf_text at name_offset */
    FIELD_PAIRS, /* struct conf_pairs: name -> text */
    FIELD_CUSTOM, /* what `decode` makes of it */
    FIELD_SPAN,   /* no key: struct span, the place of the map itself */
};

enum field_flag {
    FIELD_REQUIRED = 1 << 0,
    FIELD_SECRET = 1 << 1,   /* its value is never printed */
    FIELD_OFF = 1 << 2,      /* `off` is allowed: zero, or the empty text */
    FIELD_AUTO = 1 << 3,     /* `auto` is allowed: CONF_AUTO */
    FIELD_ALWAYS = 1 << 4,   /* CUSTOM: decode is called with node NULL when the key is absent */
    FIELD_NONEMPTY = 1 << 5, /* an empty text or list is refused */
    FIELD_PRESENT =
        1 << 6, /* OBJECT: a bool at count_offset says whether it was written; defaults only then */
    FIELD_FILTERS = 1 << 7, /* CUSTOM: the schema is that of the filter registry */
};

/* What a decoding hook gets; lives for one load. */
struct decoder {
    struct arena *arena; /* for what the conf keeps */
    struct diag *diag;
    const struct conf_world *world;
    struct span at;    /* the beginning of the file */
    struct conf *conf; /* being filled, in the order of the tables */
};

struct field {
    const char
        *name; /* NULL ends the table; "" in a filter's table: the whole value is this field */
    const char *doc;      /* one sentence, for the reference and for editors */
    const char *standard; /* the default, as it would be written; NULL: zero bytes */
    enum field_type type;
    uint32_t flags;
    size_t offset, size; /* of the member; size 0: checked and not kept */
    size_t count_offset, element_size, name_offset;
    const struct field *fields;  /* OBJECT, MAP, and the object form of CUSTOM */
    const struct field *element; /* LIST: one field without name, its offset 0 */
    const char *const *words;    /* ENUM: NULL-terminated; the value is the index */
    uint64_t min, max; /* of the number, in the unit kept; max 0: what the member can hold */
    /* CUSTOM: fills the member; false when it reported an error. */
    bool (*decode)(struct decoder *decoder, const struct field *field, const struct node *node,
                   void *member);
    const char *json; /* CUSTOM: JSON Schema of its form that is not an object; NULL: any text */
};

#define FIELD_AT(type_, member_)                                                                   \
    .offset = offsetof(type_, member_), .size = sizeof(((type_ *)NULL)->member_)
/* For LIST and MAP: the pointer and the count beside it. */
#define FIELD_ITEMS(type_, items_, count_)                                                         \
    .offset = offsetof(type_, items_), .count_offset = offsetof(type_, count_),                    \
    .size = sizeof(void *), .element_size = sizeof(*((type_ *)NULL)->items_)
#define FIELD_END                                                                                  \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* One element of a list of texts, for `element`. */
extern const struct field field_text_element;

/* Fills the struct at `out` from a map by its table: zeroes nothing, sets every default, reports
 * all that is wrong. `node` NULL: defaults alone. False when something was reported. One thread. */
bool field_decode(struct decoder *decoder, const struct field *fields, const struct node *node,
                  void *out);
/* One value into one member. */
bool field_value(struct decoder *decoder, const struct field *field, const struct node *node,
                 void *member);
/* Only the keys that are written: the rest of `out` stays as it is. */
bool field_overlay(struct decoder *decoder, const struct field *fields, const struct node *node,
                   void *out);

/* For hooks: the text of a scalar as conf_text, copied; false and an error when it is not one. */
bool field_text(struct decoder *decoder, const struct node *node, struct conf_text *out);
/* An error at `node` about its value: "<quoted value> <text>", or "<text> (from ${env:X})" where
 * the value is secret. Always false, for `return field_wrong(...)`. */
bool field_wrong(struct decoder *decoder, const struct node *node, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/metric/trace_context.h"

#include "base/text.h"

enum { VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, FLAG_SAMPLED = 1 };

/* Two lower-case digits; -1: they are none. */
static int read_byte(const char *p)
{
    int value = 0;

    for (unsigned i = 0; i < 2; i++) {
        bool is_digit = p[i] >= '0' && p[i] <= '9', is_letter = p[i] >= 'a' && p[i] <= 'f';

        if (!is_digit && !is_letter)
            return -1;
        value = value * 16 + (is_digit ? p[i] - '0' : p[i] - 'a' + 10);
    }
    return value;
}

static bool read_word(const char *p, uint64_t *word)
{
    return text_read_hex16((struct str){p, TEXT_HEX_MAX}, word);
}

static bool has_dashes(struct str text)
{
    return text.p[TRACE_AT - 1] == '-' && text.p[SPAN_AT - 1] == '-' &&
           text.p[FLAGS_AT - 1] == '-' &&
           (text.len == TRACE_PARENT_LEN || text.p[TRACE_PARENT_LEN] == '-');
}

bool trace_context_read(struct str text, struct trace_context *context)
{
    int version, flags;

    if (text.len < TRACE_PARENT_LEN || !has_dashes(text))
        return false;
    version = read_byte(text.p + VERSION_AT);
    flags = read_byte(text.p + FLAGS_AT);
    if (version < 0 || version == 0xff || flags < 0 || (!version && text.len > TRACE_PARENT_LEN))
        return false;
    context->is_sampled = flags & FLAG_SAMPLED;
    return read_word(text.p + TRACE_AT, &context->high) &&
           read_word(text.p + TRACE_AT + TEXT_HEX_MAX, &context->low) &&
           read_word(text.p + SPAN_AT, &context->span) && (context->high || context->low) &&
           context->span;
}

char *trace_context_word(char *out, uint64_t word)
{
    uint8_t bytes[sizeof(word)];

    for (unsigned i = 0; i < sizeof(word); i++)
        bytes[i] = (uint8_t)(word >> (56 - 8 * i));
    return text_hex_bytes(out, bytes, sizeof(bytes));
}

char *trace_context_write(char *out, const struct trace_context *context)
{
    out = text_put(out, STR("00-"));
    out = trace_context_word(trace_context_word(out, context->high), context->low);
    *out++ = '-';
    out = trace_context_word(out, context->span);
    return text_put(out, context->is_sampled ? STR("-01") : STR("-00"));
}

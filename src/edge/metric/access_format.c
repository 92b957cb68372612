/* SPDX-License-Identifier: Apache-2.0
 *
 * The two formats of the access log. What a client sent is escaped: no byte of it can end a line,
 * close a string or reach a terminal as a control.
 */
#include "edge/metric/access_format.h"

#include "sluice/head.h"

#include "base/text.h"

/* A literal; its length is a constant, so the copy is a few moves. */
#define PUT(out, literal) text_put(out, STR(literal))

size_t access_format_room(const struct access_entry *entry)
{
    return (entry->size - sizeof(*entry)) * TEXT_JSON_FACTOR + ACCESS_LINE_FIXED;
}

/* ,"key":"text" for texts from `first` to `last`, absent ones left out. */
static char *put_texts(char *out, const struct access_texts *texts, unsigned first, unsigned last)
{
    static const struct str keys[ACCESS_TEXTS] = {
        [ACCESS_REQUEST_ID] = STR(",\"id\":\""),
        [ACCESS_CLIENT] = STR(",\"client\":\""),
        [ACCESS_METHOD] = STR(",\"method\":\""),
        [ACCESS_HOST] = STR(",\"host\":\""),
        [ACCESS_PATH] = STR(",\"path\":\""),
        [ACCESS_QUERY] = STR(",\"query\":\""),
        [ACCESS_ROUTE] = STR(",\"route\":\""),
        [ACCESS_SERVICE] = STR(",\"service\":\""),
        [ACCESS_RELEASE] = STR(",\"release\":\""),
        [ACCESS_TARGET] = STR(",\"target\":\""),
        [ACCESS_USER_AGENT] = STR(",\"user_agent\":\""),
        [ACCESS_REFERER] = STR(",\"referer\":\""),
    };
    for (unsigned i = first; i <= last; i++) {
        if (!texts->items[i].p)
            continue;
        out = text_put(out, keys[i]);
        out = text_json(out, texts->items[i]);
        *out++ = '"';
    }
    return out;
}

/* ,"head_ms":0.123 for each step that took time. */
static char *put_phases(char *out, const struct access_entry *entry)
{
    static const struct str keys[ACCESS_PHASES] = {
        [ACCESS_HEAD] = STR(",\"head_ms\":"),     [ACCESS_ASK] = STR(",\"ask_ms\":"),
        [ACCESS_QUEUE] = STR(",\"queue_ms\":"),   [ACCESS_CONNECT] = STR(",\"connect_ms\":"),
        [ACCESS_ANSWER] = STR(",\"answer_ms\":"), [ACCESS_RELAY] = STR(",\"relay_ms\":"),
    };
    for (unsigned i = 0; i < ACCESS_PHASES; i++) {
        if (entry->phase_us[i])
            out = text_milli(text_put(out, keys[i]), entry->phase_us[i]);
    }
    return out;
}

static struct str protocol(const struct access_entry *entry)
{
    if (entry->minor == HEAD_HTTP2)
        return STR("HTTP/2");
    return entry->minor ? STR("HTTP/1.1") : STR("HTTP/1.0");
}

static char *put_reason(char *out, const struct access_entry *entry)
{
    const char *slug = reason_info((enum reason)entry->reason)->slug;
    out = PUT(out, ",\"reason\":\"");
    out = text_put(out, (struct str){slug, strlen(slug)});
    *out++ = '"';
    return out;
}

static char *put_counts(char *out, const struct access_entry *entry)
{
    out = text_u64(PUT(out, ",\"status\":"), entry->status);
    if (entry->reason != REASON_NONE && entry->reason < REASON_COUNT)
        out = put_reason(out, entry);
    out = text_u64(PUT(out, ",\"bytes_in\":"), entry->bytes_in);
    out = text_u64(PUT(out, ",\"bytes_out\":"), entry->bytes_out);
    out = text_milli(PUT(out, ",\"duration_ms\":"), entry->total_us);
    out = put_phases(out, entry);
    if (entry->cold_us)
        out = text_milli(PUT(out, ",\"cold_start_ms\":"), entry->cold_us);
    if (entry->attempts != 1)
        out = text_u64(PUT(out, ",\"attempts\":"), entry->attempts);
    return out;
}

/* As in a traceparent, whose parts stand at fixed places. */
static char *put_trace(char *out, const struct trace_context *trace)
{
    char text[TRACE_PARENT_LEN];

    trace_context_write(text, trace);
    out = text_put(PUT(out, ",\"trace_id\":\""), (struct str){text + 3, 32});
    out = text_put(PUT(out, "\",\"span_id\":\""), (struct str){text + 36, 16});
    return PUT(out, "\"");
}

// RFC 8259
char *access_format_json(struct access_format *format, const struct access_entry *entry, char *out)
{
    struct access_texts texts = access_ring_texts(entry);
    out = PUT(out, "{\"time\":\"");
    out = text_put(out, clock_rfc3339(&format->json_date, entry->time_ms));
    *out++ = '"';
    out = put_texts(out, &texts, ACCESS_REQUEST_ID, ACCESS_TARGET);
    out = put_counts(out, entry);
    if (texts.items[ACCESS_TRIES].len) // made by us, escaped already
        out = PUT(text_put(PUT(out, ",\"tries\":["), texts.items[ACCESS_TRIES]), "]");
    if (entry->trace.span)
        out = put_trace(out, &entry->trace);
    out = text_put(PUT(out, ",\"protocol\":\""), protocol(entry));
    out = text_u64(PUT(out, "\",\"generation\":"), entry->generation);
    out = put_texts(out, &texts, ACCESS_USER_AGENT, ACCESS_REFERER);
    return PUT(out, "}\n");
}

/* As Apache's mod_log_config escapes: '"' and '\' with a backslash, what does not print as \xhh. */
static char *put_escaped(char *out, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c >= 0x7f) {
            out = PUT(out, "\\x");
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = (char)c;
    }
    return out;
}

static char *put_or_dash(char *out, struct str s)
{
    return s.len ? put_escaped(out, s) : PUT(out, "-");
}

static char *put_number_or_dash(char *out, uint64_t n)
{
    return n ? text_u64(out, n) : PUT(out, "-");
}

char *access_format_common(struct access_format *format, const struct access_entry *entry,
                           char *out)
{
    struct access_texts texts = access_ring_texts(entry);
    out = put_or_dash(out, texts.items[ACCESS_CLIENT]);
    out = PUT(out, " - - [");
    out = text_put(out, clock_ncsa_date(&format->common_date, entry->time_ms));
    out = PUT(out, "] \"");
    out = put_or_dash(out, texts.items[ACCESS_METHOD]);
    *out++ = ' ';
    out = put_or_dash(out, texts.items[ACCESS_PATH]);
    if (texts.items[ACCESS_QUERY].p)
        out = put_escaped(PUT(out, "?"), texts.items[ACCESS_QUERY]);
    *out++ = ' ';
    out = text_put(out, protocol(entry));
    out = put_number_or_dash(PUT(out, "\" "), entry->status);
    out = put_number_or_dash(PUT(out, " "), entry->bytes_out);
    out = put_or_dash(PUT(out, " \""), texts.items[ACCESS_REFERER]);
    out = put_or_dash(PUT(out, "\" \""), texts.items[ACCESS_USER_AGENT]);
    return PUT(out, "\"\n");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/metric/trace_format.h"

#include "base/random.h"
#include "base/text.h"
#include "edge/metric/trace_try.h"
#include "sluice/head.h"

enum {
    SPAN_FIXED = 1024, /* more than all of a span that is no text of the record */
    TRIES_MAX = 32,    /* that are told */
    SPANS_MAX = 4 + 4 * TRIES_MAX,
    NS = 1000,
};

/* opentelemetry/proto/trace/v1/trace.proto */
enum kind { KIND_INTERNAL = 1, KIND_SERVER = 2, KIND_CLIENT = 3 };
enum { STATUS_ERROR = 2, FLAG_SAMPLED = 1, FLAG_HAS_IS_REMOTE = 0x100, FLAG_IS_REMOTE = 0x200 };

struct writer {
    const struct access_entry *entry;
    struct access_texts texts;
    char *at;
    unsigned count;      /* spans */
    bool has_attributes; /* the one that is being written */
};

struct trace_span {
    uint64_t id, parent; /* parent 0: none */
    struct str name;     /* what follows it is `more` */
    struct str more;     /* empty: nothing */
    struct str state;    /* tracestate; empty: none */
    enum kind kind;
    uint64_t begun_us, ended_us; /* since the request's first byte */
    bool is_remote;              /* its parent is another process */
};

/* --- parts of a span */

static void put(struct writer *w, struct str text)
{
    w->at = text_put(w->at, text);
}

static void put_word(struct writer *w, uint64_t word)
{
    w->at = trace_context_word(w->at, word);
}

/* 64 bits are text there, for what reads numbers as doubles. */
static void put_time(struct writer *w, struct str name, uint64_t us)
{
    put(w, name);
    w->at = text_u64(w->at, (w->entry->time_ms * 1000 + us) * NS);
    put(w, STR("\""));
}

static void put_key(struct writer *w, const char *key)
{
    put(w, w->has_attributes ? STR(",{\"key\":\"") : STR("{\"key\":\""));
    put(w, (struct str){key, strlen(key)});
    put(w, STR("\",\"value\":{"));
    w->has_attributes = true;
}

/* Absent and empty ones are left out. */
static void put_text(struct writer *w, const char *key, struct str text)
{
    if (!text.len)
        return;
    put_key(w, key);
    put(w, STR("\"stringValue\":\""));
    w->at = text_json(w->at, text);
    put(w, STR("\"}}"));
}

static void put_number(struct writer *w, const char *key, uint64_t number)
{
    put_key(w, key);
    put(w, STR("\"intValue\":\""));
    w->at = text_u64(w->at, number);
    put(w, STR("\"}}"));
}

/* All up to its attributes, which follow. */
static void begin(struct writer *w, const struct trace_span *span)
{
    const struct access_entry *entry = w->entry;
    unsigned flags = FLAG_HAS_IS_REMOTE | (entry->trace.is_sampled ? FLAG_SAMPLED : 0) |
                     (span->is_remote ? FLAG_IS_REMOTE : 0);

    put(w, w->count++ ? STR(",{\"traceId\":\"") : STR("{\"traceId\":\""));
    put_word(w, entry->trace.high);
    put_word(w, entry->trace.low);
    put(w, STR("\",\"spanId\":\""));
    put_word(w, span->id);
    if (span->parent) {
        put(w, STR("\",\"parentSpanId\":\""));
        put_word(w, span->parent);
    }
    if (span->state.len) {
        put(w, STR("\",\"traceState\":\""));
        w->at = text_json(w->at, span->state);
    }
    put(w, STR("\",\"flags\":"));
    w->at = text_u64(w->at, flags);
    put(w, STR(",\"name\":\""));
    w->at = text_json(w->at, span->name);
    if (span->more.len) {
        put(w, STR(" "));
        w->at = text_json(w->at, span->more);
    }
    put(w, STR("\",\"kind\":"));
    w->at = text_u64(w->at, span->kind);
    put_time(w, STR(",\"startTimeUnixNano\":\""), span->begun_us);
    put_time(w, STR(",\"endTimeUnixNano\":\""), span->ended_us);
    put(w, STR(",\"attributes\":["));
    w->has_attributes = false;
}

static void end(struct writer *w, bool is_error)
{
    put(w, STR("]"));
    if (is_error) {
        put(w, STR(",\"status\":{\"code\":"));
        w->at = text_u64(w->at, STATUS_ERROR);
        put(w, STR("}"));
    }
    put(w, STR("}"));
}

/* One without attributes, below `parent`. Its id follows from that one's, so that none has to be
 * kept: random_mix() is a bijection. */
static void put_step(struct writer *w, uint64_t parent, struct str name, const uint64_t times[2])
{
    uint64_t id = random_mix(parent + w->count);

    if (times[1] <= times[0])
        return;
    begin(w, &(struct trace_span){.id = id ? id : 1,
                                  .parent = parent,
                                  .name = name,
                                  .kind = KIND_INTERNAL,
                                  .begun_us = times[0],
                                  .ended_us = times[1]});
    end(w, false);
}

/* --- the exchange */

static struct str known_method(struct str method)
{
    static const struct str known[] = {STR_INIT("GET"),     STR_INIT("HEAD"),  STR_INIT("POST"),
                                       STR_INIT("PUT"),     STR_INIT("PATCH"), STR_INIT("DELETE"),
                                       STR_INIT("OPTIONS"), STR_INIT("TRACE"), STR_INIT("CONNECT")};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_same(known[i], method))
            return method;
    return STR("_OTHER");
}

static struct str version(const struct access_entry *entry)
{
    if (entry->minor == HEAD_HTTP2)
        return STR("2");
    return entry->minor ? STR("1.1") : STR("1.0");
}

static struct str slug_of(const struct access_entry *entry)
{
    const char *slug = entry->reason && entry->reason < REASON_COUNT
                           ? reason_info((enum reason)entry->reason)->slug
                           : "";

    return (struct str){slug, strlen(slug)};
}

/* As the semantic conventions want of a server: what the client did wrong is no error of ours. */
static bool is_error(const struct access_entry *entry)
{
    return entry->status >= 500 || (entry->reason && entry->reason < REASON_COUNT &&
                                    reason_info((enum reason)entry->reason)->status >= 500);
}

static void put_error(struct writer *w, struct str slug, unsigned status)
{
    char text[TEXT_U64_MAX];

    if (slug.len)
        put_text(w, "error.type", slug);
    else
        put_text(w, "error.type", (struct str){text, (size_t)(text_u64(text, status) - text)});
}

static void put_exchange(struct writer *w)
{
    static const struct {
        const char *key;
        enum access_text text;
    } texts[] = {{"url.path", ACCESS_PATH},
                 {"server.address", ACCESS_HOST},
                 {"client.address", ACCESS_CLIENT},
                 {"user_agent.original", ACCESS_USER_AGENT},
                 {"sluice.request_id", ACCESS_REQUEST_ID},
                 {"sluice.route", ACCESS_ROUTE},
                 {"sluice.service", ACCESS_SERVICE},
                 {"sluice.release", ACCESS_RELEASE},
                 {"sluice.target", ACCESS_TARGET}};
    const struct access_entry *entry = w->entry;
    struct str method = known_method(w->texts.items[ACCESS_METHOD]);

    begin(w, &(struct trace_span){.id = entry->trace.span,
                                  .parent = entry->trace_parent,
                                  .name = method.p[0] == '_' ? STR("HTTP") : method,
                                  .more = w->texts.items[ACCESS_ROUTE],
                                  .state = w->texts.items[ACCESS_TRACE_STATE],
                                  .kind = KIND_SERVER,
                                  .ended_us = entry->total_us,
                                  .is_remote = entry->trace_parent != 0});
    put_text(w, "http.request.method", method);
    put_text(w, "url.scheme", entry->is_secure ? STR("https") : STR("http"));
    put_text(w, "network.protocol.version", version(entry));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        put_text(w, texts[i].key, w->texts.items[texts[i].text]);
    put_text(w, "sluice.reason", slug_of(entry));
    put_number(w, "sluice.attempts", entry->attempts);
    if (entry->cold_us)
        put_number(w, "sluice.cold_start_ms", entry->cold_us / 1000);
    if (entry->status)
        put_number(w, "http.response.status_code", entry->status);
    if (is_error(entry))
        put_error(w, slug_of(entry), entry->status);
    end(w, is_error(entry));
}

/* --- its tries */

static void put_try(struct writer *w, const struct trace_try *try, unsigned resends)
{
    bool is_bad = !try->is_given_up && (try->outcome.len || try->status >= 500);
    uint64_t sent_us = try->sent_us ? try->sent_us : try->ended_us;
    uint64_t answered_us = try->answered_us ? try->answered_us : try->ended_us;

    begin(w, &(struct trace_span){.id = try->span,
                                  .parent = w->entry->trace.span,
                                  .name = known_method(w->texts.items[ACCESS_METHOD]),
                                  .kind = KIND_CLIENT,
                                  .begun_us = try->begun_us,
                                  .ended_us = try->ended_us});
    put_text(w, "http.request.method", known_method(w->texts.items[ACCESS_METHOD]));
    put_text(w, "sluice.target", try->target);
    if (resends)
        put_number(w, "http.request.resend_count", resends);
    if (try->status)
        put_number(w, "http.response.status_code", try->status);
    if (try->is_given_up)
        put_text(w, "sluice.outcome", try->outcome);
    if (is_bad)
        put_error(w, try->outcome, try->status);
    end(w, is_bad);
    put_step(w, try->span, STR("connect"), (const uint64_t[]){try->begun_us, sent_us});
    put_step(w, try->span, STR("answer"), (const uint64_t[]){sent_us, answered_us});
    if (try->answered_us)
        put_step(w, try->span, STR("relay"), (const uint64_t[]){answered_us, try->ended_us});
}

static void put_tries(struct writer *w)
{
    struct str rest = w->texts.items[ACCESS_TRACE_TRIES];
    struct trace_try try;

    for (unsigned count = 0; count < TRIES_MAX && trace_try_take(&rest, &try); count++)
        put_try(w, &try, count);
}

/* --- the whole */

/* Before its first try: the time that its head, the filters, and waiting for a place took. */
static void put_steps(struct writer *w)
{
    const struct access_entry *entry = w->entry;
    uint64_t head_us = entry->phase_us[ACCESS_HEAD],
             asked_us = head_us + entry->phase_us[ACCESS_ASK];
    uint64_t queued_us = asked_us + entry->phase_us[ACCESS_QUEUE];
    struct str rest = w->texts.items[ACCESS_TRACE_TRIES];
    struct trace_try first;

    if (trace_try_take(&rest, &first) && first.begun_us < queued_us)
        queued_us = first.begun_us; // the rest was between tries
    put_step(w, entry->trace.span, STR("head"), (const uint64_t[]){0, head_us});
    put_step(w, entry->trace.span, STR("ask"), (const uint64_t[]){head_us, asked_us});
    put_step(w, entry->trace.span, STR("queue"), (const uint64_t[]){asked_us, queued_us});
}

size_t trace_format_room(const struct access_entry *entry)
{
    // Some texts stand there twice.
    return (entry->size - sizeof(*entry)) * TEXT_JSON_FACTOR * 2 + (size_t)SPANS_MAX * SPAN_FIXED;
}

char *trace_format_spans(const struct access_entry *entry, char *out, unsigned *count)
{
    struct writer w = {.entry = entry, .at = out, .texts = access_ring_texts(entry)};

    put_exchange(&w);
    put_steps(&w);
    put_tries(&w);
    *count = w.count;
    return w.at;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `notices`, and what goes together in them.
 */
#include <string.h>

#include "config/conf_check.h"
#include "config/conf_url.h"

static const char *const words[] = {"deploy", "rollback", "health", "budget", NULL};

static const struct field word_element = {.name = "",
                                          .type = FIELD_ENUM,
                                          .words = words,
                                          .size = sizeof(uint32_t)};

struct word_list {
    uint32_t *items, count;
};

/* A list of words as bits; not written: all. */
static bool decode_on(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member)
{
    static const struct field list = {.name = "on",
                                      .type = FIELD_LIST,
                                      .flags = FIELD_NONEMPTY,
                                      .element = &word_element,
                                      FIELD_ITEMS(struct word_list, items, count)};
    struct word_list all = {NULL, 0};
    uint32_t on = 0;

    (void)field;
    if (!node) {
        *(uint32_t *)member = (1U << (ARRAY_LEN(words) - 1)) - 1;
        return true;
    }
    if (!field_value(decoder, &list, node, &all.items))
        return false;
    for (uint32_t i = 0; i < all.count; i++)
        on |= 1U << all.items[i];
    *(uint32_t *)member = on;
    return true;
}

#define ON(type_)                                                                                  \
    {                                                                                              \
        .name = "on",                                                                              \
        .doc = "What of: `deploy` (live, failed, or a question), `rollback`, `health`, `budget`; " \
               "not written: all.",                                                                \
        .type = FIELD_CUSTOM, .flags = FIELD_ALWAYS, .decode = decode_on,                          \
        .json = "{\"type\":\"array\",\"minItems\":1,\"items\":{\"enum\":"                          \
                "[\"deploy\",\"rollback\",\"health\",\"budget\"]}}",                               \
        FIELD_AT(type_, on)                                                                        \
    }

static const struct field slack_fields[] = {
    {.name = "url",
     .doc = "An incoming webhook of Slack, or of what takes the same; best as `${env:NAME}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_notice_slack, url)},
    ON(struct conf_notice_slack),
    FIELD_END,
};

static const struct field webhook_fields[] = {
    {.name = "url",
     .doc = "Where it is POSTed as JSON.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_notice_webhook, url)},
    {.name = "secret",
     .doc = "Signs it: `Sluice-Signature: t=TIME,v1=HEX` is the HMAC-SHA256 over the time, a dot "
            "and the body.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_notice_webhook, secret)},
    {.name = "ca",
     .doc = "A file of roots to trust there; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_notice_webhook, ca)},
    ON(struct conf_notice_webhook),
    FIELD_END,
};

static const struct field smtp_fields[] = {
    {.name = "url",
     .doc = "`smtps://host[:port]`, or `smtp://host[:port]` with STARTTLS; without TLS only on "
            "loopback.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_notice_smtp, url)},
    {.name = "from",
     .doc = "The sender's address.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_notice_smtp, from)},
    {.name = "to",
     .doc = "The addresses that get it.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_notice_smtp, to.items, to.count)},
    {.name = "user",
     .doc = "To log in with; not written: without.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_notice_smtp, user)},
    {.name = "password",
     .doc = "The user's; best as `${env:NAME}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_notice_smtp, password)},
    {.name = "ca",
     .doc = "A file of roots to trust there; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_notice_smtp, ca)},
    ON(struct conf_notice_smtp),
    FIELD_END,
};

const struct field conf_notices_fields[] = {
    {.name = "window",
     .doc = "What happens within it is told in one message.",
     .standard = "15s",
     .type = FIELD_DURATION,
     .max = 3600 * 1000,
     FIELD_AT(struct conf_notices, window_ms)},
    {.name = "per_hour",
     .doc = "The most messages an hour to each; what is too much is told later, in one.",
     .standard = "20",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000,
     FIELD_AT(struct conf_notices, per_hour)},
    {.name = "slack",
     .doc = "A channel of Slack.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = slack_fields,
     .count_offset = offsetof(struct conf_notices, has_slack),
     FIELD_AT(struct conf_notices, slack)},
    {.name = "webhook",
     .doc = "A program of your own.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = webhook_fields,
     .count_offset = offsetof(struct conf_notices, has_webhook),
     FIELD_AT(struct conf_notices, webhook)},
    {.name = "smtp",
     .doc = "E-mail.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = smtp_fields,
     .count_offset = offsetof(struct conf_notices, has_smtp),
     FIELD_AT(struct conf_notices, smtp)},
    FIELD_END,
};

/* --- checks */

static void check_slack(struct diag *diag, const struct conf_text *url)
{
    if (!conf_check_text(diag, url) || !url->s.len)
        return;
    if (!conf_url_begins(url->s, "https://") && !conf_url_is_near(url->s, "http://")) {
        diag_error(diag, url->at, "the url is a secret: without TLS only on loopback");
        diag_hint(diag, "write https://");
    }
}

static void check_webhook(struct diag *diag, const struct conf_text *url)
{
    if (conf_check_text(diag, url) && url->s.len && !conf_url_begins(url->s, "https://") &&
        !conf_url_begins(url->s, "http://"))
        diag_error(diag, url->at, "the url begins with https:// or http://");
}

/* Close enough to RFC 5321 section 4.1.2: what stands between angle brackets there, and no more. */
static bool is_address(struct str s)
{
    const char *at = memchr(s.p, '@', s.len);
    bool is_good = at && at != s.p && at != s.p + s.len - 1 && s.len <= 254;

    for (size_t i = 0; is_good && i < s.len; i++)
        is_good = (unsigned char)s.p[i] > 0x20 && (unsigned char)s.p[i] < 0x7f &&
                  !strchr("<>()[],;:\\\"", s.p[i]);
    return is_good;
}

static void check_address(struct diag *diag, const struct conf_text *address)
{
    if (address->s.len && !is_address(address->s)) {
        diag_error(diag, address->at, "this is no address of e-mail");
        diag_hint(diag, "write it plainly: ops@example.com");
    }
}

static void check_smtp(struct diag *diag, const struct conf_notice_smtp *smtp)
{
    bool is_known =
        conf_url_begins(smtp->url.s, "smtps://") || conf_url_begins(smtp->url.s, "smtp://");

    if (conf_check_text(diag, &smtp->url) && smtp->url.s.len && !is_known)
        diag_error(diag, smtp->url.at, "the url begins with smtps:// or smtp://");
    check_address(diag, &smtp->from);
    for (uint32_t i = 0; i < smtp->to.count; i++)
        check_address(diag, &smtp->to.items[i]);
    if (!smtp->user.s.len != !smtp->password.s.len) {
        const struct conf_text *one = smtp->user.s.len ? &smtp->user : &smtp->password;

        diag_error(diag, one->at, "user and password go together");
    }
}

void conf_check_notices(struct decoder *decoder)
{
    const struct conf_notices *notices = &decoder->conf->notices;

    // Where nobody is told, what is written is not put in.
    if (!decoder->world->expands_control)
        return;
    if (notices->has_slack)
        check_slack(decoder->diag, &notices->slack.url);
    if (notices->has_webhook)
        check_webhook(decoder->diag, &notices->webhook.url);
    if (notices->has_smtp)
        check_smtp(decoder->diag, &notices->smtp);
}

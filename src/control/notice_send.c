/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notice_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS = 15 * 1000, REPLY_MAX = 64 * 1024 };

const char *notice_receiver_name(enum notice_receiver which)
{
    static const char *const names[NOTICE_RECEIVERS] = {"slack", "webhook", "smtp"};

    return names[which];
}

uint32_t notice_receiver_on(const struct conf_notices *conf, enum notice_receiver which)
{
    switch (which) {
    case NOTICE_SLACK:
        return conf->has_slack ? conf->slack.on : 0;
    case NOTICE_WEBHOOK:
        return conf->has_webhook ? conf->webhook.on : 0;
    default:
        return conf->has_smtp ? conf->smtp.on : 0;
    }
}

/* --- a copy of the configuration */

static bool copy(struct arena *arena, struct conf_text *text)
{
    text->s = arena_copy(arena, text->s.p ? text->s : STR(""));
    return text->s.p != NULL;
}

static bool copy_all(struct arena *arena, struct conf_texts *texts)
{
    struct conf_text *items = arena_zero(arena, texts->count + 1u, sizeof(*items));
    bool is_good = items != NULL;

    for (uint32_t i = 0; is_good && i < texts->count; i++) {
        items[i] = texts->items[i];
        is_good = copy(arena, &items[i]);
    }
    texts->items = items;
    return is_good;
}

enum status notice_copy_conf(struct arena *arena, const struct conf_notices *conf,
                             struct conf_notices *copied)
{
    struct conf_text *texts[] = {&copied->slack.url,      &copied->webhook.url,
                                 &copied->webhook.secret, &copied->webhook.ca,
                                 &copied->smtp.url,       &copied->smtp.from,
                                 &copied->smtp.user,      &copied->smtp.password,
                                 &copied->smtp.ca};
    bool is_good = true;

    *copied = *conf;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        is_good = is_good && copy(arena, texts[i]);
    return is_good && copy_all(arena, &copied->smtp.to) ? OK : E_NOMEM;
}

/* --- sending */

static struct str of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static struct outbound_request begin_request(const struct notice_send *what)
{
    return (struct outbound_request){.method = "POST",
                                     .timeout_ms = CALL_MS,
                                     .size_max = REPLY_MAX,
                                     .done = what->done,
                                     .owner = what->owner};
}

static const char *ca_of(const struct conf_text *ca)
{
    return ca->s.len ? ca->s.p : NULL;
}

static struct outbound_call *send_slack(const struct notice_send *what,
                                        const struct notice_message *message)
{
    const char *fields[] = {"Content-Type: application/json", NULL};
    struct outbound_request request = begin_request(what);
    char *body = notice_slack(message);
    struct outbound_call *call = NULL;

    request.url = what->conf->slack.url.s.p;
    request.fields = fields;
    if (body) {
        request.body = of(body);
        call = outbound_send(what->outbound, &request);
    }
    free(body);
    return call;
}

static struct outbound_call *send_webhook(const struct notice_send *what,
                                          const struct notice_message *message)
{
    const struct conf_notice_webhook *conf = &what->conf->webhook;
    const char *fields[] = {"Content-Type: application/json", NULL, NULL};
    struct outbound_request request = begin_request(what);
    char *body = notice_webhook(message), *signature = NULL;
    struct outbound_call *call = NULL;

    if (body && conf->secret.s.len)
        fields[1] = signature = notice_sign(conf->secret.s, message->now_ms, body);
    request.url = conf->url.s.p;
    request.ca = ca_of(&conf->ca);
    request.fields = fields;
    if (body && (signature || !conf->secret.s.len)) {
        request.body = of(body);
        call = outbound_send(what->outbound, &request);
    }
    free(signature);
    free(body);
    return call;
}

/* NULL: no memory. */
static const char **list_addresses(const struct conf_texts *to)
{
    const char **list = calloc(to->count + 1u, sizeof(*list));

    for (uint32_t i = 0; list && i < to->count; i++)
        list[i] = to->items[i].s.p;
    return list;
}

static struct outbound_call *send_mail(const struct notice_send *what,
                                       const struct notice_message *message)
{
    const struct conf_notice_smtp *conf = &what->conf->smtp;
    struct outbound_mail mail = {.from = conf->from.s.p,
                                 .user = conf->user.s.len ? conf->user.s.p : NULL,
                                 .password = conf->password.s.p};
    struct outbound_request request = begin_request(what);
    const char **to = list_addresses(&conf->to);
    char *body = notice_mail(message, conf);
    struct outbound_call *call = NULL;

    mail.to = to;
    request.url = conf->url.s.p;
    request.ca = ca_of(&conf->ca);
    request.mail = &mail;
    if (body && to) {
        request.body = of(body);
        call = outbound_send(what->outbound, &request);
    }
    free(to);
    free(body);
    return call;
}

struct outbound_call *notice_send(const struct notice_send *what,
                                  const struct notice_message *message)
{
    switch (what->which) {
    case NOTICE_SLACK:
        return send_slack(what, message);
    case NOTICE_WEBHOOK:
        return send_webhook(what, message);
    default:
        return send_mail(what, message);
    }
}

void notice_send_judge(enum notice_receiver which, const struct outbound_reply *reply, char *error,
                       size_t size)
{
    bool is_http = which != NOTICE_SMTP;

    *error = '\0';
    if (reply->error)
        snprintf(error, size, "%s", reply->error);
    else if (is_http && reply->status / 100 != 2)
        snprintf(error, size, "the receiver answers %ld", reply->status);
}

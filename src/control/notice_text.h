/* SPDX-License-Identifier: Apache-2.0
 *
 * What people are told: from an entry of the ledger one notice, from several notices one message;
 * and how a message is written for Slack, for a webhook and as e-mail. Pure.
 */
#ifndef CONTROL_NOTICE_TEXT_H
#define CONTROL_NOTICE_TEXT_H

#include <jansson.h>

#include "config/conf_notices.h"

enum { NOTICE_SHOWN_MAX = 20, NOTICE_TEXT = 1024 };

/* The notice of an entry: {"kind", "time_ms", "service", "text", "next"}: what happened and what
 * serves now, and the next command to type ("": none). `on`: bits of enum conf_notice, whom it is
 * for. NULL: nobody is told of such an entry, or no memory. An entry whose action begins with
 * "budget." is told as its `after` says: {"text", "next"}. */
json_t *notice_of_entry(const json_t *entry, uint32_t *on);

/* One that is in no ledger. NULL: no memory. */
json_t *notice_of_health(int64_t now_ms, const char *service, const char *text, const char *next);

/* Several, oldest first, of which the newest NOTICE_SHOWN_MAX are written out. */
struct notice_message {
    const json_t *notices;
    uint64_t unshown; /* those that are not among them any more */
    const char *id;   /* the same when it is sent again */
    int64_t now_ms;
};

/* {"text"}, with what Slack reads as markup escaped. The caller's, by free(), as the next ones;
 * NULL: no memory. */
char *notice_slack(const struct notice_message *message);
/* {"id", "time_ms", "text", "notices", "more"}. */
char *notice_webhook(const struct notice_message *message);
/* A whole message (RFC 5322) with its head. */
char *notice_mail(const struct notice_message *message, const struct conf_notice_smtp *smtp);

/* "Sluice-Signature: t=TIME,v1=HEX"; NULL: no memory. */
char *notice_sign(struct str secret, int64_t now_ms, const char *body);

#endif

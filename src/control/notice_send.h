/* SPDX-License-Identifier: Apache-2.0
 *
 * The receivers of notices: who they are, and a message on its way to one. Called by notices.c.
 * Control's one thread.
 */
#ifndef CONTROL_NOTICE_SEND_H
#define CONTROL_NOTICE_SEND_H

#include "base/arena.h"
#include "config/conf_notices.h"
#include "control/notice_text.h"
#include "control/outbound.h"

enum notice_receiver { NOTICE_SLACK, NOTICE_WEBHOOK, NOTICE_SMTP, NOTICE_RECEIVERS };

/* "slack"; static. */
const char *notice_receiver_name(enum notice_receiver which);
/* Of what it is told, as bits of enum conf_notice; 0: it is not there. */
uint32_t notice_receiver_on(const struct conf_notices *conf, enum notice_receiver which);

/* A copy that lives in an arena. */
MUST_USE enum status notice_copy_conf(struct arena *arena, const struct conf_notices *conf,
                                      struct conf_notices *copy);

struct notice_send {
    struct outbound *outbound;
    const struct conf_notices *conf;
    enum notice_receiver which;
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};
/* As outbound_send(). */
struct outbound_call *notice_send(const struct notice_send *what,
                                  const struct notice_message *message);
/* Why a message has not arrived, as a sentence without full stop and without secrets; empty: it
 * has. */
void notice_send_judge(enum notice_receiver which, const struct outbound_reply *reply, char *error,
                       size_t size);

#endif

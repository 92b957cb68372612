/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, ports and idle connections; see doctor_judge_silence.c and doctor_judge_answer.c for the
 * rest.
 */
#include "cli/doctor_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct doctor_finding *doctor_judge_add(struct doctor_findings *findings, const char *slug,
                                        const char *format, ...)
{
    unsigned at = findings->count < DOCTOR_FINDINGS ? findings->count++ : DOCTOR_FINDINGS - 1;
    struct doctor_finding *finding = &findings->items[at];
    va_list arguments;

    *finding = (struct doctor_finding){.slug = slug};
    va_start(arguments, format);
    vsnprintf(finding->words, sizeof(finding->words), format, arguments);
    va_end(arguments);
    return finding;
}

void doctor_judge_fix(struct doctor_finding *finding, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(finding->fix, sizeof(finding->fix), format, arguments);
    va_end(arguments);
}

/* The name without the port. */
static struct str name_of(const struct doctor_facts *facts)
{
    const char *colon = memrchr(facts->address.p, ':', facts->address.len);
    struct str name = facts->address;

    if (colon && !facts->is_unix)
        name.len = (size_t)(colon - name.p);
    return name;
}

static bool is_internal(const struct doctor_facts *facts)
{
    static const struct str end = STR_INIT(".internal");
    struct str name = name_of(facts);

    return name.len > end.len && !memcmp(name.p + name.len - end.len, end.p, end.len);
}

/* --- names */

static void judge_name(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct str name = name_of(facts);
    struct doctor_finding *finding = doctor_judge_add(findings, "dns", "%.*s does not resolve: %s",
                                                      STR_FMT(name), facts->dns_error);

    if (is_internal(facts) && !facts->is_inside)
        doctor_judge_fix(finding,
                         "names below .internal resolve only inside the private network of Fly or "
                         "Railway: run `sluice doctor` there (fly ssh console, railway ssh)");
    else if (is_internal(facts))
        doctor_judge_fix(finding,
                         "is the app's name right, and is it of this organisation or project? An "
                         "app without running machines has no name either");
    else
        doctor_judge_fix(finding, "check the name, and what /etc/resolv.conf says on this machine");
}

/* --- ports */

static unsigned count_ways(const struct doctor_facts *facts, enum doctor_dialled dialled,
                           bool is_v6)
{
    unsigned count = 0;

    for (unsigned i = 0; i < facts->way_count; i++)
        count += facts->ways[i].dialled == dialled && facts->ways[i].is_v6 == is_v6;
    return count;
}

static unsigned count_all(const struct doctor_facts *facts, enum doctor_dialled dialled)
{
    return count_ways(facts, dialled, false) + count_ways(facts, dialled, true);
}

static unsigned count_family(const struct doctor_facts *facts, bool is_v6)
{
    unsigned count = 0;

    for (unsigned i = 0; i < facts->way_count; i++)
        count += facts->ways[i].is_v6 == is_v6;
    return count;
}

/* The one family that refuses, where the other does not or, on private networks, where there is no
 * other. */
static bool find_refusing_family(const struct doctor_facts *facts, bool *is_v6)
{
    unsigned v4 = count_ways(facts, DOCTOR_REFUSES, false);
    unsigned v6 = count_ways(facts, DOCTOR_REFUSES, true);

    *is_v6 = v6 > 0;
    if (!v4 == !v6 || count_ways(facts, DOCTOR_ACCEPTS, *is_v6))
        return false;
    return count_family(facts, !*is_v6) || (*is_v6 && is_internal(facts));
}

static void judge_family(const struct doctor_facts *facts, struct doctor_findings *findings,
                         bool is_v6)
{
    const char *slug = is_v6 ? "refused_ipv6" : "refused_ipv4";
    const char *other = is_v6 ? "IPv4" : "IPv6";
    bool is_open = count_ways(facts, DOCTOR_ACCEPTS, !is_v6) > 0;
    struct doctor_finding *finding;

    finding =
        doctor_judge_add(findings, slug,
                         "connection refused over %s: nothing listens on %.*s there%s%s%s",
                         is_v6 ? "IPv6" : "IPv4", STR_FMT(facts->address), is_open ? "; over " : "",
                         is_open ? other : "", is_open ? " something does" : "");
    if (is_v6)
        doctor_judge_fix(finding,
                         "the app is bound to 127.0.0.1 or 0.0.0.0%s: bind it to `::`, which takes "
                         "IPv4 as well%s%s",
                         is_open ? "" : ", or does not run",
                         is_internal(facts) ? "; the private network is IPv6" : "",
                         facts->is_other_family ? ", or write the target with 127.0.0.1" : "");
    else
        doctor_judge_fix(finding, "the app is bound to ::1 alone: bind it to `::` or 0.0.0.0%s",
                         facts->is_other_family ? ", or write the target with [::1]" : "");
    finding->is_note = is_open && !facts->is_other_family; // the edge tries them in turn
}

/* Requests get there, and some of them by a detour. */
static void judge_detour(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    unsigned count = count_all(facts, DOCTOR_REFUSES);
    struct doctor_finding *finding;
    bool is_v6;

    if (find_refusing_family(facts, &is_v6)) {
        judge_family(facts, findings, is_v6);
    } else if (count) {
        finding = doctor_judge_add(findings, "refused",
                                   "%u of the %u addresses of %.*s refuse connections: the edge "
                                   "tries them in turn",
                                   count, facts->way_count, STR_FMT(name_of(facts)));
        doctor_judge_fix(finding, "start the app on every machine that the name leads to");
        finding->is_note = true;
    }
}

static void judge_refused(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    const char *key = facts->is_health_port ? "health.port" : "the target's port";
    struct doctor_finding *finding;

    if (facts->is_unix) {
        finding = doctor_judge_add(findings, "refused", "nothing listens on %.*s",
                                   STR_FMT(facts->address));
        doctor_judge_fix(finding, "start the app; is it the same path that it listens on?");
        return;
    }
    if (facts->other_port) {
        finding = doctor_judge_add(findings, "wrong_port",
                                   "connection refused: nothing listens on port %u of %.*s, but "
                                   "port %u %s",
                                   facts->port, STR_FMT(name_of(facts)), facts->other_port,
                                   facts->is_other_http ? "answers HTTP" : "takes connections");
        doctor_judge_fix(finding, "set %s to %u, or let the app listen on %u", key,
                         facts->other_port, facts->port);
        return;
    }
    finding = doctor_judge_add(findings, "refused",
                               "connection refused: nothing listens on port %u of %.*s",
                               facts->port, STR_FMT(name_of(facts)));
    doctor_judge_fix(finding,
                     "start the app, or set %s to the one that it listens on; in a container it "
                     "must listen on `::` or 0.0.0.0, not on localhost",
                     key);
}

static void judge_unreached(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;

    if (count_all(facts, DOCTOR_SILENT) || facts->result.why == REASON_CONNECTION_TIMEOUT) {
        finding = doctor_judge_add(findings, "timeout",
                                   "no answer to an attempt to connect to %.*s, port %u",
                                   STR_FMT(name_of(facts)), facts->port);
        doctor_judge_fix(finding, "a firewall or security group drops it, or the address is of a "
                                  "machine that is gone");
        return;
    }
    finding = doctor_judge_add(findings, "unroutable", "there is no way to %.*s, port %u",
                               STR_FMT(name_of(facts)), facts->port);
    doctor_judge_fix(finding, "is this machine in the target's network (VPN, WireGuard, IPv6)?");
}

static void judge_closed_port(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    bool is_v6;

    if (!count_all(facts, DOCTOR_REFUSES))
        judge_unreached(facts, findings);
    else if (find_refusing_family(facts, &is_v6) && !facts->other_port)
        judge_family(facts, findings, is_v6);
    else
        judge_refused(facts, findings);
}

/* --- idle connections */

/* What to keep ours for when theirs end after `ms`: in whole seconds where that leaves some. */
static uint32_t safe_idle(uint32_t ms)
{
    uint32_t rounded = (ms + 50) / 100 * 100;
    uint32_t safe = rounded > 2000 ? rounded - 1000 : rounded / 2;

    return safe > 1000 ? safe / 1000 * 1000 : safe;
}

/* The edge obeys the target's Keep-Alive by itself: see pool.c. */
static uint32_t kept_for(const struct doctor_idle *idle)
{
    uint32_t theirs = idle->keep_alive_ms;

    if (theirs)
        theirs = theirs > 2000 ? theirs - 1000 : theirs / 2;
    return theirs && theirs < idle->ours_ms ? theirs : idle->ours_ms;
}

static const char *span_text(uint32_t ms, char text[16])
{
    if (ms % 1000)
        snprintf(text, 16, "%ums", ms);
    else
        snprintf(text, 16, "%us", ms / 1000);
    return text;
}

static void judge_idle(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    const struct doctor_idle *idle = &facts->idle;
    uint32_t kept_ms = kept_for(idle);
    struct doctor_finding *finding;
    char kept[16], safe[16];

    if (idle->closes_always) {
        finding = doctor_judge_add(findings, "no_keepalive",
                                   "closes the connection after every answer: each request pays "
                                   "for a new one");
        doctor_judge_fix(finding, "let the app keep connections (HTTP/1.1 keep-alive)");
        finding->is_note = true;
    } else if (idle->is_closed && idle->closed_ms < kept_ms) {
        finding = doctor_judge_add(findings, "idle",
                                   "closes idle connections after %u.%u s, ours are kept %s: a "
                                   "request may meet one that is just being closed",
                                   (idle->closed_ms + 50) / 1000,
                                   (idle->closed_ms + 50) % 1000 / 100, span_text(kept_ms, kept));
        doctor_judge_fix(finding,
                         "set timeouts.upstream_idle to %s, or let the app keep them for longer "
                         "(node: server.keepAliveTimeout, uvicorn: --timeout-keep-alive)",
                         span_text(safe_idle(idle->closed_ms), safe));
    }
}

/* --- listeners */

static bool is_private(struct str host)
{
    static const struct str starts[] = {STR_INIT("127."), STR_INIT("::1"), STR_INIT("localhost"),
                                        STR_INIT("fly-local"), STR_INIT("fdaa:")};

    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (host.len >= starts[i].len && !memcmp(host.p, starts[i].p, starts[i].len))
            return true;
    return false;
}

void doctor_judge_listeners(const struct conf *conf, bool is_inside,
                            struct doctor_findings *findings)
{
    for (uint32_t i = 0; is_inside && i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        struct doctor_finding *finding;

        if (listener->tls.is_set || listener->bind.is_unix || is_private(listener->bind.host))
            continue;
        finding = doctor_judge_add(findings, "client_address",
                                   "behind the platform's TLS the peers of %.*s are its proxies: "
                                   "the access log and limits see their addresses, not clients'",
                                   STR_FMT(listener->bind.text.s));
        doctor_judge_fix(finding, "this version believes no forwarding header yet; with TCP passed "
                                  "through and `tls` of its own the peers are the clients");
        finding->is_note = true;
    }
}

/* --- all */

void doctor_judge(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    bool has_answer = facts->result.passed || facts->result.status;

    if (facts->dns_error)
        judge_name(facts, findings);
    else if (has_answer)
        doctor_judge_answer(facts, findings);
    else if (count_all(facts, DOCTOR_ACCEPTS) && !facts->is_other_family)
        doctor_judge_silence(facts, findings);
    else
        judge_closed_port(facts, findings);
    if (has_answer) {
        judge_detour(facts, findings);
        judge_idle(facts, findings);
    }
}

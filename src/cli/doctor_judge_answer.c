/* SPDX-License-Identifier: Apache-2.0
 *
 * A target that answers: whether as the health check wants it, and where it sends people.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli/doctor_judge.h"

static const char *path_of(const struct doctor_facts *facts, int *len)
{
    *len = (int)facts->service->health.path.s.len;
    return facts->service->health.path.s.p;
}

/* --- redirects */

static struct str cut(struct str s, char at)
{
    const char *found = s.len ? memchr(s.p, at, s.len) : NULL;

    return found ? (struct str){s.p, (size_t)(found - s.p)} : s;
}

/* A Host without its port. */
static struct str bare(struct str host)
{
    const char *colon = host.len ? memrchr(host.p, ':', host.len) : NULL;

    if (colon && (host.p[0] != '[' || colon[-1] == ']'))
        host.len = (size_t)(colon - host.p);
    return host;
}

static bool same_host(struct str a, struct str b)
{
    a = bare(a);
    b = bare(b);
    return a.len == b.len && !strncasecmp(a.p, b.p, a.len);
}

/* https, the same host and the same path. */
static bool leads_back(const struct doctor_facts *facts)
{
    static const struct str scheme = STR_INIT("https://");
    struct str rest = {facts->location, strlen(facts->location)}, host, path;

    if (rest.len < scheme.len || strncasecmp(rest.p, scheme.p, scheme.len))
        return false;
    rest = (struct str){rest.p + scheme.len, rest.len - scheme.len};
    host = cut(cut(rest, '/'), '?');
    path = cut((struct str){rest.p + host.len, rest.len - host.len}, '?');
    if (!path.len)
        path = STR("/");
    return same_host(host, facts->host) && str_same(path, cut(facts->service->health.path.s, '?'));
}

static void judge_redirect(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;
    int len;
    const char *path = path_of(facts, &len);

    if (leads_back(facts)) {
        finding = doctor_judge_add(findings, "redirect_loop",
                                   "GET %.*s said X-Forwarded-Proto: https, and is answered %u to "
                                   "%s: clients would go round in a circle",
                                   len, path, facts->result.status, facts->location);
        doctor_judge_fix(finding,
                         "the app does not believe the header: let it trust its proxy (express: "
                         "trust proxy, Rails: assume_ssl, Django: SECURE_PROXY_SSL_HEADER, "
                         "uvicorn: --proxy-headers)");
    } else if (facts->has_health) {
        finding = doctor_judge_add(findings, "redirect", "GET %.*s is answered %u to %s", len, path,
                                   facts->result.status,
                                   facts->location[0] ? facts->location : "nowhere");
        doctor_judge_fix(finding, "set health.path to one that answers by itself");
        finding->is_note = facts->result.passed;
    }
}

/* --- other answers */

static const char *slug_of(unsigned status)
{
    if (status == 404)
        return "health_404";
    if (status == 401 || status == 403)
        return "health_auth";
    return status >= 500 ? "health_5xx" : "health_status";
}

static const char *remedy_of(unsigned status)
{
    if (status == 404)
        return "set health.path to one that the app has; without a path an open connection is "
               "enough";
    if (status == 401 || status == 403)
        return "let the app answer health checks without a login, or name another health.path; "
               "with `status: 200-499` this counts as alive";
    if (status >= 500)
        return "the app, or what it needs, is broken: look into its log";
    return "set health.status to what the app answers, or health.path to another";
}

static void judge_status(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    unsigned status = facts->result.status;
    struct doctor_finding *finding;
    int len;
    const char *path = path_of(facts, &len);

    finding =
        doctor_judge_add(findings, slug_of(status), "GET %.*s is answered %u", len, path, status);
    doctor_judge_fix(finding, "%s", remedy_of(status));
    finding->is_note = facts->result.passed;
}

static bool is_wanted(const struct conf_health *health, unsigned status)
{
    for (uint32_t i = 0; i < health->status_count; i++)
        if (status >= health->statuses[i].first && status <= health->statuses[i].last)
            return true;
    return false;
}

static void judge_failure(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    const struct conf_health *health = &facts->service->health;
    struct doctor_finding *finding;

    if (health->has_grpc) {
        finding = doctor_judge_add(findings, "health_grpc", "%s", facts->result.words);
        doctor_judge_fix(finding, "set health.grpc to a service that grpc.health.v1 knows there, "
                                  "or health.path, or neither");
    } else if (is_wanted(health, facts->result.status) && health->body.s.len) {
        finding = doctor_judge_add(findings, "health_body", "%s", facts->result.words);
        doctor_judge_fix(finding, "set health.body to what the answer has in it");
    } else {
        judge_status(facts, findings);
    }
}

void doctor_judge_answer(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    unsigned status = facts->result.status;
    bool is_plain = !facts->service->tls.is_set;

    if (is_plain && facts->speech & DOCTOR_WANTS_TLS)
        doctor_judge_silence(facts, findings);
    else if (is_plain && facts->speech & DOCTOR_H2 && facts->service->protocol == CONF_HTTP1)
        doctor_judge_silence(facts, findings);
    else if (status >= 300 && status < 400 && status != 304)
        judge_redirect(facts, findings);
    else if (!facts->result.passed)
        judge_failure(facts, findings);
    else if (status >= 500 && !facts->has_health)
        judge_status(facts, findings);
}

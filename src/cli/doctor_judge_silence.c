/* SPDX-License-Identifier: Apache-2.0
 *
 * A port that is open and gives no HTTP: TLS against plain, one version against the other,
 * certificates, silence.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/doctor_judge.h"

static bool is_word(struct str s, const char *word)
{
    return s.len == strlen(word) && !memcmp(s.p, word, s.len);
}

/* --- certificates */

static const char *date_text(int64_t unix_s, struct clock_date *cache)
{
    return clock_rfc3339(cache, unix_s > 0 ? (uint64_t)unix_s * 1000 : 0).p;
}

static void judge_dates(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct clock_date cache = {0};
    struct doctor_finding *finding;

    if (facts->tls.faults & TLS_LOOK_EXPIRED) {
        finding = doctor_judge_add(findings, "tls_untrusted", "the certificate expired on %s",
                                   date_text(facts->tls.not_after_s, &cache));
        doctor_judge_fix(finding, "renew it at the target");
    } else if (facts->tls.faults & TLS_LOOK_EARLY) {
        finding = doctor_judge_add(findings, "tls_untrusted",
                                   "the certificate is not valid before "
                                   "%s",
                                   date_text(facts->tls.not_before_s, &cache));
        doctor_judge_fix(finding, "are the clocks of both machines right?");
    }
}

static void judge_trust(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct str ca = facts->service->tls.ca.s;
    bool is_own = facts->tls.faults & TLS_LOOK_SELF_SIGNED;
    struct doctor_finding *finding;

    finding =
        doctor_judge_add(findings, "tls_untrusted",
                         is_own ? "the certificate is not trusted: it is self-signed (%s)"
                                : "the certificate is not trusted: issued by %s (%s)",
                         facts->tls.issuer[0] ? facts->tls.issuer : "nobody", facts->tls.words);
    doctor_judge_fix(finding, "set `tls: {ca: FILE}` of the service to %s%s",
                     is_own ? "the certificate itself" : "the root that issued it",
                     is_word(ca, "system") ? "" : "; the present file has another");
}

static void judge_names(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct str asked = facts->service->tls.name.s;
    struct doctor_finding *finding;
    bool is_auto = is_word(asked, "auto");

    finding =
        doctor_judge_add(findings, "tls_name", "the certificate is not for %.*s: it is for %s",
                         STR_FMT(is_auto ? facts->address : asked),
                         facts->tls.names[0] ? facts->tls.names : "no name at all");
    if (facts->tls.name[0] == '*')
        doctor_judge_fix(finding, "set `tls: {name: NAME}` of the service to a name that fits %s",
                         facts->tls.name);
    else if (facts->tls.name[0])
        doctor_judge_fix(finding, "set `tls: {name: %s}` of the service", facts->tls.name);
    else
        doctor_judge_fix(finding, "give the target a certificate with a subjectAltName");
}

static void judge_certificate(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    judge_dates(facts, findings);
    if (facts->tls.faults & (TLS_LOOK_SELF_SIGNED | TLS_LOOK_UNTRUSTED))
        judge_trust(facts, findings);
    if (facts->tls.faults & TLS_LOOK_NAME)
        judge_names(facts, findings);
}

/* --- silence */

static void judge_rest(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;

    switch (facts->result.why) {
    case REASON_CONNECTION_TIMEOUT:
    case REASON_HTTP_RESPONSE_TIMEOUT:
        finding = doctor_judge_add(findings, "no_answer",
                                   "takes the connection and does not answer within %u ms",
                                   facts->service->health.timeout_ms);
        doctor_judge_fix(finding, "is the app stuck or still starting? A slow one needs a longer "
                                  "health.timeout, and `--timeout` here");
        return;
    case REASON_CONNECTION_TERMINATED:
    case REASON_CONNECTION_REFUSED:
    case REASON_HTTP_RESPONSE_INCOMPLETE:
        finding = doctor_judge_add(findings, "closed", "%s", facts->result.words);
        doctor_judge_fix(finding, "look into the app's log: it takes the connection and ends it");
        return;
    default:
        finding = doctor_judge_add(findings, "not_http", "%s", facts->result.words);
        doctor_judge_fix(finding, "is it the port of a web server?");
    }
}

/* --- one version for the other */

static bool judge_version(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    bool is_tls = facts->service->tls.is_set;
    bool has_h2 = is_tls ? !strcmp(facts->alpn, "h2") : (facts->speech & DOCTOR_H2) != 0;
    bool has_http1 = is_tls ? !has_h2 : (facts->speech & DOCTOR_HTTP1) != 0;
    struct doctor_finding *finding;

    if (is_tls && !facts->is_shaken)
        return false;
    if (facts->service->protocol == CONF_H2 && has_http1 && !has_h2) {
        finding = doctor_judge_add(findings, "protocol",
                                   "the service says `protocol: h2`, and the target speaks "
                                   "HTTP/1.1");
        doctor_judge_fix(finding, "set `protocol: http1` (or with tls `auto`), or switch HTTP/2 on "
                                  "in the app");
        return true;
    }
    if (facts->service->protocol == CONF_HTTP1 && has_h2 && (is_tls || !has_http1)) {
        finding = doctor_judge_add(findings, "protocol",
                                   "the service says `protocol: http1`, and the target speaks "
                                   "HTTP/2 alone");
        doctor_judge_fix(finding, "set `protocol: h2` of the service");
        return true;
    }
    return false;
}

/* --- TLS */

static void judge_handshake(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;

    finding = doctor_judge_add(findings, "tls_failed", "the TLS handshake fails: %s",
                               facts->tls.words[0] ? facts->tls.words : facts->result.words);
    doctor_judge_fix(finding, "does the target want a certificate (`tls: {cert:, key:}`), or "
                              "another name (`tls: {name:}`)? TLS 1.2 is the least");
}

static void judge_secure(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;

    if (!(facts->speech & DOCTOR_TLS) && facts->speech & (DOCTOR_HTTP1 | DOCTOR_H2)) {
        finding = doctor_judge_add(findings, "tls_unexpected",
                                   "the service says `tls`, and the target speaks plain HTTP");
        doctor_judge_fix(finding, "take `tls` out of the service, or name the port that has TLS");
    } else if (facts->tls.faults) {
        judge_certificate(facts, findings);
    } else if (facts->speech & DOCTOR_TLS && judge_version(facts, findings)) {
        return;
    } else if (facts->speech & DOCTOR_TLS &&
               (!facts->tls.is_shaken || facts->result.why == REASON_TLS_PROTOCOL_ERROR)) {
        judge_handshake(facts, findings);
    } else {
        judge_rest(facts, findings);
    }
}

void doctor_judge_silence(const struct doctor_facts *facts, struct doctor_findings *findings)
{
    struct doctor_finding *finding;

    if (facts->service->tls.is_set) {
        judge_secure(facts, findings);
    } else if (facts->speech & (DOCTOR_TLS | DOCTOR_WANTS_TLS)) {
        finding = doctor_judge_add(findings, "tls_expected",
                                   "the service says plain HTTP, and the target speaks TLS");
        doctor_judge_fix(finding, "set `tls: {}` of the service (with `ca:` for a root of your "
                                  "own), or name the plain port");
    } else if (!judge_version(facts, findings)) {
        judge_rest(facts, findings);
    }
}

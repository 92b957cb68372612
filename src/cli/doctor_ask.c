/* SPDX-License-Identifier: Apache-2.0
 *
 * What the probe leaves open: which addresses take connections, what is spoken on them whatever the
 * service says, and which other port is meant. Every attempt is a connection of its own.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor_dial.h"
#include "cli/doctor_wire.h"

enum { ANSWER_SIZE = 4096, QUIET_MS = 200, SCAN_MS = 500, FRAME_HEAD = 9, SETTINGS = 4 };

/* --- which addresses */

/* The other loopback address of an address that is one itself. */
static bool other_loopback(const struct endpoint_address *of, struct endpoint_address *other)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&of->socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&of->socket;
    struct sockaddr_in6 to_v6 = {.sin6_family = AF_INET6, .sin6_port = v4->sin_port};
    struct sockaddr_in to_v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};

    *other = (struct endpoint_address){0};
    if (of->socket.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
        to_v6.sin6_addr = in6addr_loopback;
        memcpy(&other->socket, &to_v6, sizeof(to_v6));
        other->len = sizeof(to_v6);
    } else if (of->socket.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr)) {
        to_v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        memcpy(&other->socket, &to_v4, sizeof(to_v4));
        other->len = sizeof(to_v4);
    }
    return other->len > 0;
}

static void dial_ways(struct doctor_dial *dial)
{
    const struct endpoint *endpoint = dial->endpoint;
    struct doctor_facts *facts = &dial->facts;
    enum doctor_dialled dialled[DOCTOR_WAYS];

    doctor_wire_dial(endpoint->addresses, endpoint->address_count, dial->place->timeout_ms,
                     dialled);
    facts->way_count = endpoint->address_count;
    for (unsigned i = 0; i < facts->way_count; i++)
        facts->ways[i] =
            (struct doctor_way){endpoint->addresses[i].socket.ss_family == AF_INET6, dialled[i]};
}

/* An app that listens on `localhost` has one of the two, and a target that is the other. */
static void dial_other_loopback(struct doctor_dial *dial)
{
    struct doctor_facts *facts = &dial->facts;
    struct endpoint_address other;
    enum doctor_dialled dialled;

    if (facts->way_count != 1 || facts->ways[0].dialled != DOCTOR_REFUSES ||
        !other_loopback(&dial->endpoint->addresses[0], &other))
        return;
    doctor_wire_dial(&other, 1, SCAN_MS, &dialled);
    if (dialled != DOCTOR_ACCEPTS)
        return;
    facts->ways[1] = (struct doctor_way){other.socket.ss_family == AF_INET6, dialled};
    facts->way_count = 2;
    facts->is_other_family = true;
}

/* The first that accepts; NULL: none. */
static const struct endpoint_address *find_open(const struct doctor_dial *dial)
{
    for (unsigned i = 0; i < dial->facts.way_count && !dial->facts.is_other_family; i++)
        if (dial->facts.ways[i].dialled == DOCTOR_ACCEPTS)
            return &dial->endpoint->addresses[i];
    return NULL;
}

/* --- what is spoken */

static bool is_settings(const char *bytes, size_t len)
{
    return len >= FRAME_HEAD && !bytes[0] && bytes[3] == SETTINGS && !bytes[4] &&
           !memcmp(bytes + 5, "\0\0\0\0", 4);
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    for (; *text; text++)
        if (!strncasecmp(text, word, len))
            return true;
    return false;
}

/* nginx: "The plain HTTP request was sent to HTTPS port"; Go: "Client sent an HTTP request to an
 * HTTPS server."; Apache: "speaking plain HTTP to an SSL-enabled server port". */
static bool asks_for_tls(const char *answer)
{
    return !strncmp(answer + 8, " 400", 4) &&
           (has_word(answer, "https") || has_word(answer, "ssl"));
}

static unsigned speech_of(const char *answer, size_t len)
{
    if (len > 12 && !memcmp(answer, "HTTP/1.", 7))
        return DOCTOR_HTTP1 | (asks_for_tls(answer) ? DOCTOR_WANTS_TLS : 0);
    if (len > 2 && answer[0] == 0x15 && answer[1] == 3) // an alert, of TLS
        return DOCTOR_TLS;
    return is_settings(answer, len) ? DOCTOR_H2 : 0;
}

/* What comes until it is quiet, as text; its length. */
static size_t read_answer(struct doctor_wire *wire, char answer[ANSWER_SIZE], uint32_t timeout_ms)
{
    size_t len = 0;
    ssize_t n = doctor_wire_read(wire, answer, ANSWER_SIZE - 1, timeout_ms);

    while (n > 0) {
        len += (size_t)n;
        n = len < ANSWER_SIZE - 1
                ? doctor_wire_read(wire, answer + len, ANSWER_SIZE - 1 - len, QUIET_MS)
                : 0;
    }
    answer[len] = '\0';
    return len;
}

static unsigned ask_plain(const struct doctor_dial *dial, const struct endpoint_address *address)
{
    uint32_t timeout_ms = dial->place->timeout_ms;
    char answer[ANSWER_SIZE];
    struct doctor_wire wire;
    unsigned speech = 0;

    if (!doctor_wire_open(&wire, address, timeout_ms))
        return 0;
    if (doctor_dial_get(dial, &wire, "Connection: close\r\n"))
        speech = speech_of(answer, read_answer(&wire, answer, timeout_ms));
    doctor_wire_close(&wire);
    return speech;
}

static unsigned ask_h2(const struct doctor_dial *dial, const struct endpoint_address *address)
{
    static const struct str preface = // and empty SETTINGS
        STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0");
    uint32_t timeout_ms = dial->place->timeout_ms;
    char answer[ANSWER_SIZE];
    struct doctor_wire wire;
    size_t len = 0;

    if (!doctor_wire_open(&wire, address, timeout_ms))
        return 0;
    if (doctor_wire_write(&wire, preface, timeout_ms))
        len = read_answer(&wire, answer, timeout_ms);
    doctor_wire_close(&wire);
    return len && is_settings(answer, len) ? DOCTOR_H2 : 0;
}

/* Believing anything, and speaking either version. */
static void look_at_any(struct doctor_dial *dial, const struct endpoint_address *address)
{
    struct doctor_facts *facts = &dial->facts;
    uint32_t timeout_ms = dial->place->timeout_ms;
    struct tls_look_report report = {0};
    struct doctor_wire wire;

    if (!dial->place->any || !doctor_wire_open(&wire, address, timeout_ms))
        return;
    facts->is_shaken =
        doctor_wire_secure(&wire, dial->place->any, doctor_dial_name(dial), timeout_ms, &report);
    if (report.is_tls)
        facts->speech |= DOCTOR_TLS;
    memcpy(facts->alpn, report.alpn, sizeof(facts->alpn));
    doctor_wire_close(&wire);
}

static void look_as_told(struct doctor_dial *dial, const struct endpoint_address *address)
{
    struct doctor_facts *facts = &dial->facts;
    uint32_t timeout_ms = dial->place->timeout_ms;
    struct doctor_wire wire;
    char byte;

    if (!doctor_wire_open(&wire, address, timeout_ms))
        return;
    doctor_wire_secure(&wire, dial->tls, doctor_dial_name(dial), timeout_ms, &facts->tls);
    // TLS 1.3 refuses a client's certificate only after the handshake.
    if (wire.tls && doctor_dial_get(dial, &wire, "") &&
        !doctor_wire_read(&wire, &byte, 1, timeout_ms) &&
        strstr(tls_look_words(wire.tls), "certificate")) {
        snprintf(facts->tls.words, sizeof(facts->tls.words), "%s", tls_look_words(wire.tls));
        facts->tls.is_shaken = false;
    }
    doctor_wire_close(&wire);
}

static void ask_all(struct doctor_dial *dial, const struct endpoint_address *address)
{
    struct doctor_facts *facts = &dial->facts;
    unsigned status = facts->result.status;

    facts->speech = ask_plain(dial, address);
    if (dial->tls || !(facts->speech & DOCTOR_HTTP1))
        look_at_any(dial, address);
    if (dial->tls && facts->speech & DOCTOR_TLS)
        look_as_told(dial, address);
    if (facts->speech & DOCTOR_TLS)
        return;
    if (!facts->speech && ask_h2(dial, address))
        facts->speech = DOCTOR_H2;
    else if ((status == 426 || status == 505) && ask_h2(dial, address))
        facts->speech = DOCTOR_H2; // it spoke HTTP/1.1 to say that it does not
}

/* --- which port */

/* Our own listeners, and what other targets of that name are: nobody means those. */
static bool is_taken(const struct doctor_dial *dial, uint16_t port)
{
    const struct conf *conf = dial->place->conf;
    struct str host = dial->target->address.host;

    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].bind.port == port)
            return true;
    for (uint32_t i = 0; i < conf->service_count; i++)
        for (uint32_t k = 0; k < conf->services[i].target_count; k++)
            if (conf->services[i].targets[k].address.port == port &&
                str_same(conf->services[i].targets[k].address.host, host))
                return !dial->facts.is_health_port;
    return port == dial->facts.port;
}

static const struct endpoint_address *find_refusing(const struct doctor_dial *dial)
{
    for (unsigned i = 0; i < dial->endpoint->address_count; i++)
        if (dial->facts.ways[i].dialled == DOCTOR_REFUSES)
            return &dial->endpoint->addresses[i];
    return NULL;
}

/* The usual ports, and the target's own where another one is asked for its health. */
static unsigned list_ports(const struct doctor_dial *dial, uint16_t ports[DOCTOR_WIRE_DIALS])
{
    static const uint16_t usual[] = {80, 443, 3000, 3001, 4000, 5000, 8000, 8080, 8081, 9000};
    unsigned count = 0;

    if (dial->facts.is_health_port)
        ports[count++] = dial->target->address.port;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (!is_taken(dial, usual[i]) && !(count && ports[0] == usual[i]))
            ports[count++] = usual[i];
    return count;
}

/* The first that answers HTTP, else the first that accepts. */
static void find_port(struct doctor_dial *dial, const struct endpoint_address *refusing)
{
    struct doctor_facts *facts = &dial->facts;
    struct endpoint_address addresses[DOCTOR_WIRE_DIALS] = {0};
    enum doctor_dialled dialled[DOCTOR_WIRE_DIALS];
    uint16_t ports[DOCTOR_WIRE_DIALS];
    unsigned count = list_ports(dial, ports);

    for (unsigned i = 0; i < count; i++) {
        addresses[i] = *refusing;
        probe_set_port(&addresses[i], 1, ports[i]);
    }
    doctor_wire_dial(addresses, count, SCAN_MS, dialled);
    for (unsigned i = 0; i < count && !facts->is_other_http; i++) {
        if (dialled[i] != DOCTOR_ACCEPTS)
            continue;
        facts->is_other_http = (ask_plain(dial, &addresses[i]) & DOCTOR_HTTP1) != 0;
        if (facts->is_other_http || !facts->other_port)
            facts->other_port = ports[i];
    }
}

/* --- all */

/* The answer is no puzzle, and there was one way to it. */
static bool is_clear(const struct doctor_dial *dial)
{
    unsigned status = dial->facts.result.status;

    return status && status != 400 && status != 426 && status != 505 &&
           dial->endpoint->address_count == 1;
}

void doctor_ask(struct doctor_dial *dial)
{
    struct doctor_facts *facts = &dial->facts;
    unsigned status = facts->result.status;
    const struct endpoint_address *address;

    if (facts->dns_error || is_clear(dial))
        return;
    dial_ways(dial);
    dial_other_loopback(dial);
    address = find_open(dial);
    if (address &&
        (status == 400 || status == 426 || status == 505 || (!status && !facts->result.passed)))
        ask_all(dial, address);
    address = address || facts->is_other_family || facts->is_unix ? NULL : find_refusing(dial);
    if (address)
        find_port(dial, address);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of a TLS listener's first bytes: what a client says, into a tls_link with the
 * context of a real tls_server, whose callbacks choose certificate and protocol. The first byte
 * says how: raw bytes, cut in two, or the contents of the name and protocol extensions (RFC 6066,
 * 7301) of a hello that is else in order. Checks: no crash, no handshake comes of it, what was
 * agreed on is one of ours, and all memory is given back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/diag.h"
#include "edge/tls/tls_link.h"
#include "edge/tls/tls_server.h"

enum { HELLO_MAX = 4096 };

/* A hello being written. */
struct hello {
    uint8_t bytes[HELLO_MAX];
    size_t len;
};

static struct tls_engine engine;
static struct tls_server *servers[2]; /* unknown names get the default certificate; or an alert */

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

/* --- the server, made once */

static struct certificate *certificate_for(const char *name)
{
    struct str text = {name, strlen(name)};
    struct certificate *certificate = certificate_self_signed(&text, 1, 30);

    require(certificate != NULL, "a certificate");
    return certificate;
}

static void make_servers(void)
{
    static struct conf_text domains[] = {{.s = STR("a.example")}, {.s = STR("b.example")}};
    static struct conf_listener listener = {.http2 = true};
    struct tls_pushed pushed[] = {{STR("a.example"), certificate_for("a.example")},
                                  {STR("b.example"), certificate_for("b.example")}};
    struct tls_server_build build = {.listener = &listener,
                                     .pushed = pushed,
                                     .pushed_count = ARRAY_LEN(pushed),
                                     .challenges = tls_challenges_new()};
    struct tls_challenge challenge = {.token = STR("t"),
                                      .domain = STR("c.example"),
                                      .answer = STR("t.k"),
                                      .is_alpn = true};
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    listener.tls.is_set = listener.tls.acme.is_set = true;
    listener.tls.acme.domains = (struct conf_texts){.items = domains, .count = 2};
    require(build.challenges && !tls_challenges_put(build.challenges, &challenge, 1), "challenges");
    for (unsigned i = 0; i < ARRAY_LEN(servers); i++) {
        listener.tls.unknown_name = i ? CONF_UNKNOWN_REJECT : CONF_UNKNOWN_DEFAULT;
        servers[i] = tls_server_new(&build, &diag);
        require(servers[i] != NULL, "a server");
    }
    for (unsigned i = 0; i < ARRAY_LEN(pushed); i++)
        certificate_free((struct certificate **)(uintptr_t)&pushed[i].certificate);
    require(tls_engine_init(&engine) == OK, "an engine");
    arena_reset(&arena);
}

/* --- a hello (RFC 8446 4.1.2) */

static void put(struct hello *hello, const void *bytes, size_t len)
{
    require(hello->len + len <= HELLO_MAX, "room");
    memcpy(hello->bytes + hello->len, bytes, len);
    hello->len += len;
}

static void put_size(struct hello *hello, size_t n)
{
    put(hello, (uint8_t[]){(uint8_t)(n >> 8), (uint8_t)n}, 2);
}

/* Where two bytes of length stand, which are filled in when it is known. */
static void end_size(struct hello *hello, size_t at)
{
    size_t n = hello->len - at - 2;

    hello->bytes[at] = (uint8_t)(n >> 8);
    hello->bytes[at + 1] = (uint8_t)n;
}

static void put_extension(struct hello *hello, unsigned type, const void *bytes, size_t len)
{
    put_size(hello, type);
    put_size(hello, len);
    put(hello, bytes, len);
}

static void put_extensions(struct hello *hello, struct str name, struct str protocols)
{
    static const uint8_t versions[] = {4, 3, 4, 3, 3}, groups[] = {0, 2, 0, 29};
    static const uint8_t algorithms[] = {0, 4, 4, 3, 8, 4}, formats[] = {1, 0};
    static const uint8_t share[38] = {0, 36, 0, 29, 0, 32, 9};
    size_t at = hello->len;

    put_size(hello, 0);
    put_extension(hello, 43, versions, sizeof(versions));
    put_extension(hello, 10, groups, sizeof(groups));
    put_extension(hello, 11, formats, sizeof(formats));
    put_extension(hello, 13, algorithms, sizeof(algorithms));
    put_extension(hello, 51, share, sizeof(share));
    if (name.len)
        put_extension(hello, 0, name.p, name.len);
    if (protocols.len)
        put_extension(hello, 16, protocols.p, protocols.len);
    end_size(hello, at);
}

static void write_hello(struct hello *hello, struct str name, struct str protocols)
{
    static const uint8_t suites[] = {0, 4, 0x13, 1, 0xc0, 0x2b, 1, 0};
    static const uint8_t random[32] = {1};

    put(hello, "\x16\3\1\0\0\1\0\0\0\3\3", 11); // record, message, version
    put(hello, random, sizeof(random));
    put(hello, "", 1); // no session
    put(hello, suites, sizeof(suites));
    put_extensions(hello, name, protocols);
    end_size(hello, 3);
    end_size(hello, 7);
}

/* --- a run */

static void check_agreed(const struct tls_link *link)
{
    struct str alpn = tls_link_alpn(link), name = tls_link_name(link);

    require(!alpn.len || !memcmp(alpn.p, "h2", 2) || !memcmp(alpn.p, "http/1.1", 8) ||
                !memcmp(alpn.p, "acme-tls/1", 10),
            "a protocol of ours");
    require(!name.p || strlen(name.p) == name.len, "a name");
}

static enum status offer(struct tls_link *link, const uint8_t *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    struct str in = {copy, len};
    enum status status;

    require(copy != NULL, "memory");
    memcpy(copy, bytes, len);
    status = tls_link_shake(link, &in);
    require(in.len <= len, "eats what it was given");
    require(status != OK, "no handshake comes of it");
    require(status == E_AGAIN || link->fault, "it says why");
    require(outq_pending(link->out) < 64 * 1024, "little is said in answer");
    check_agreed(link);
    free(copy);
    return status;
}

static void run(struct tls_server *server, struct str in, size_t split)
{
    struct budget budget = {0};
    struct slab outqs;
    struct tls_link link;

    outq_slab_init(&outqs, &budget);
    require(tls_link_init(&link, &engine, SSL_new(tls_server_context(server)), true, &outqs) == OK,
            "a link");
    if (offer(&link, (const uint8_t *)in.p, split) == E_AGAIN)
        offer(&link, (const uint8_t *)in.p + split, in.len - split);
    tls_link_bye(&link);
    tls_link_fini(&link);
    require(outqs.in_use == 0, "all queues are given back");
    slab_fini(&outqs);
    require(budget.used == 0, "all memory is given back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data + 2, size - 2};
    struct hello hello = {.len = 0};
    size_t name;

    if (size < 2 || size > 2000)
        return 0;
    if (!engine.plain)
        make_servers();
    name = data[1] < in.len ? data[1] : in.len;
    if (data[0] & 1) {
        run(servers[data[0] >> 1 & 1], in, name);
        return 0;
    }
    write_hello(&hello, (struct str){in.p, name}, (struct str){in.p + name, in.len - name});
    run(servers[data[0] >> 1 & 1], (struct str){(const char *)hello.bytes, hello.len},
        data[0] >> 2 < hello.len ? data[0] >> 2 : 0);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * A small HTTP/1.1 server for JSON APIs, on the loop of its owner: what the edge's admin port and
 * control's socket have in common. One request at a time on each connection, each whole before it
 * is run. Who may ask what, and who answers, is the owner's. A call outlives its connection when
 * the client goes; whoever runs it answers exactly once, which frees it. The loop's thread.
 */
#ifndef REST_REST_H
#define REST_REST_H

#include <jansson.h>
#include <uv.h>

#include "base/arena.h"
#include "base/buf.h"
#include "rest/guesses.h"
#include "rest/session.h"
#include "sluice/head.h"
#include "rest/rest_refused.h"

enum {
    REST_PARTS = 2, /* stars in a path */
    REST_HEAD_MAX = 16 * 1024,
    REST_READ = 64 * 1024,
    REST_BIND = 128,
};

struct rest_conn;  /* private: rest/impl.h */
struct rest_port;  /* private */
struct rest_relay; /* private */
struct rest_cert;  /* private: rest/rest_cert.h */
struct rest_call;
struct rest_options {
    uv_loop_t *loop;
    unsigned connections_max, connections_kept; /* kept: of those, for unix sockets alone */
    size_t call_size; /* of what the owner's calls are; each begins with a struct rest_call */
    /* A head is there: may it be asked, and who answers? Sets body_max. False: it was refused, and
     * the call is gone. */
    bool (*dispatch)(struct rest_call *call);
    /* Its body is there too. */
    void (*run)(struct rest_call *call);
    /* Frees what the owner's call holds beyond its arena. */
    void (*drop)(struct rest_call *call);
    void *owner;
    const char *who; /* static; begins what is said on stderr: "edge" */
};

struct rest_server {
    struct rest_options options;
    struct rest_refused refused;
    struct slab slab; /* of buffers */
    struct rest_port *ports;
    struct rest_conn *conns;
    unsigned conn_count;
    struct rest_call *calls;
    struct rest_relay *relays;
    struct rest_cert *cert; /* NULL: no port speaks TLS */
    uint32_t secure_tags;   /* of the ports that do, a bit a tag */
    uv_timer_t turn;        /* handshakes wait for the next turn of the loop */
    uint64_t shaken_ns;     /* spent on them in this one */
    bool is_retired;        /* no longer accepts, and each connection ends when it may */
    bool is_ending;         /* each answer is the last one of its connection */
    struct guesses guesses; /* wrong tokens of those who sign in */
    struct session_ended ended;
    char read[REST_READ];
};

struct rest_call {
    struct rest_server *server;
    struct rest_conn *conn; /* NULL: the client is gone, or there is none */
    struct rest_call *next, **back;
    struct arena arena;
    struct head head;
    struct buf body;
    struct str parts[REST_PARTS]; /* what the stars of the path stand for, decoded */
    struct str fields;            /* further header lines of the answer */
    uint32_t body_max;
    unsigned tag;                            /* of the port that it came to */
    bool is_unix, is_loopback, is_secure;    /* the last: by TLS */
    uint64_t client;                         /* hash of its address; 0: none */
    const char *caching;                     /* Cache-Control of the answer; NULL: no-store */
    void (*on_room)(struct rest_call *call); /* of an answer in pieces: what was sent has left */
    void (*on_gone)(struct rest_call *call); /* the client is gone: the call is to end soon */
    void *of;                                /* for these two, which may be NULL */
};

/* What may be asked; the owner's table begins each entry with one. */
struct rest_place {
    enum method method;
    const char *path; /* a star stands for one segment */
    uint32_t tags;    /* ports that serve it, a bit a tag */
};
struct rest_table {
    const void *places;
    size_t stride, count;
};

/* --- server.c */
void rest_server_init(struct rest_server *server, const struct rest_options *options);
/* Closes all; the loop must run until the handles are gone, then rest_server_fini(). */
void rest_server_close(struct rest_server *server);
/* Drops the calls that nobody will answer any more. */
void rest_server_fini(struct rest_server *server);
/* Serves on a listening descriptor, which it takes over. `bind` ("unix:..." or not) names it, `tag`
 * is for the owner. False: it cannot be, and is closed. */
bool rest_server_listen(struct rest_server *server, const char *bind, unsigned tag, int fd);
/* Ends what rest_server_listen() began under this name. */
void rest_server_unlisten(struct rest_server *server, const char *bind);
/* Ports of this tag, but for unix sockets, speak TLS from now on, with the pair of these files,
 * which is read again when it changes; absent: they do not. Connections of before end with the
 * answer that they wait for. Reading the first pair blocks. One pair a server. */
void rest_server_secure(struct rest_server *server, unsigned tag, struct str cert, struct str key);
/* What they show, as rest_cert_json(); NULL: they speak no TLS. */
json_t *rest_server_cert_json(const struct rest_server *server);
/* Stops accepting; what runs is answered, then its connection closes. */
void rest_server_retire(struct rest_server *server);
/* A second has passed. */
void rest_server_tick(struct rest_server *server);

/* --- call.c */
/* For a connection (NULL: nobody waits). NULL when memory ends. */
struct rest_call *rest_call_new(struct rest_server *server, struct rest_conn *conn);
void rest_call_free(struct rest_call *call);
/* The n-th value of a query parameter, decoded, in the arena; absent when there are fewer. */
struct str rest_query(struct rest_call *call, const char *name, unsigned n);
/* Percent-decoded, in the arena; as it is when a sequence is wrong. */
struct str rest_decode(struct rest_call *call, struct str text, bool has_plus);

/* --- place.c */
/* Whether the path of the place is asked, by whatever method;
 * fills call->parts, not yet decoded. */
bool rest_path_fits(struct rest_call *call, const struct rest_place *place);
/* The entry that is asked for; NULL: there is none, and the call was refused. */
const void *rest_find(struct rest_call *call, const struct rest_table *table);

/* --- reply.c: each answers the call and frees it; with 304 only the body's length is told */
void rest_reply(struct rest_call *call, unsigned status, const char *type, struct str body);
/* Takes `json` over. */
void rest_reply_json(struct rest_call *call, unsigned status, json_t *json);
/* The same as application/problem+json. */
void rest_reply_problem(struct rest_call *call, unsigned status, json_t *json);
/* application/problem+json (RFC 9457) with a stable reason, and a sentence. */
void rest_problem(struct rest_call *call, unsigned status, const char *reason, const char *format,
                  ...) PRINTF(4, 5);
/* What rest_problem() sends, to add to; NULL: no memory. */
json_t *rest_problem_json(unsigned status, const char *reason, struct str detail);
/* Adds a header line to the answer to come. */
void rest_field(struct rest_call *call, const char *name, const char *format, ...) PRINTF(3, 4);

#endif

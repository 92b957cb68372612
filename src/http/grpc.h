/* SPDX-License-Identifier: Apache-2.0
 *
 * What a gateway must know of gRPC over HTTP/2 (grpc/doc/PROTOCOL-HTTP2.md): its content types, its
 * deadline, its status codes and how its messages are written in a field. Used by the exchange and
 * by the filter grpc_web. Pure; any thread.
 */
#ifndef HTTP_GRPC_H
#define HTTP_GRPC_H

#include "sluice/reason.h"

struct arena;

enum grpc_kind {
    GRPC_NONE,     /* not gRPC */
    GRPC_PLAIN,    /* application/grpc */
    GRPC_WEB,      /* application/grpc-web (PROTOCOL-WEB.md) */
    GRPC_WEB_TEXT, /* application/grpc-web-text: the same in base64 */
};

/* The numbers that go over the wire (grpc/doc/statuscodes.md). */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

/* What a content type says, without regard to case; it may be absent. *rest (unless NULL) is what
 * follows the media type's name: "", "+proto", "+json; charset=utf-8". */
enum grpc_kind grpc_read_type(struct str content_type, struct str *rest);

/* A grpc-timeout in milliseconds, rounded up: at most eight digits and one of H M S m u n. False:
 * it is none, *ms is untouched. */
bool grpc_parse_timeout(struct str text, uint64_t *ms);

/* What an HTTP status means to a gRPC client that gets no grpc-status
 * (grpc/doc/http-grpc-status-mapping.md). */
enum grpc_status grpc_map_http(unsigned status);
/* The same for a refusal of the gateway's own, where more is known than its HTTP status says. */
enum grpc_status grpc_map_reason(enum reason why);

/* Whether a value of grpc-status says that the server failed, and not its client: what
 * google.rpc.Code (googleapis/google/rpc/code.proto) maps to 5xx. Absent: no. */
bool grpc_is_failure(struct str status);

/* `text` (UTF-8) as the value of grpc-message: percent-encoded but for printable ASCII. {NULL, 0}
 * when the arena is at its limit. */
struct str grpc_encode_message(struct arena *arena, struct str text);

#endif

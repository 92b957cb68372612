/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of gRPC-Web (grpc/doc/PROTOCOL-WEB.md) that differ from gRPC: base64 bodies, decoded
 * and encoded in pieces of any size, the boundaries of messages, and trailers as a frame of the
 * body. For the filter grpc_web, which owns the states. Pure; any thread. All states begin as
 * zeroes.
 */
#ifndef HTTP_GRPC_WEB_H
#define HTTP_GRPC_WEB_H

#include "sluice/head.h"

/* Base64 (RFC 4648 section 4) that may be padded at any multiple of four, as concatenated texts
 * are. */
struct grpc_web_decoder {
    uint8_t count;    /* digits of the group that is not whole */
    uint8_t group[4]; /* their values */
};

struct grpc_web_encoder {
    uint8_t count; /* bytes of the group that is not whole */
    char group[2];
};

/* Where in a sequence of length-prefixed messages a body stands. */
struct grpc_web_frames {
    uint32_t left;   /* bytes to come of the message */
    uint32_t length; /* of its prefix, as far as it is in */
    uint8_t prefix;  /* bytes of its prefix that are in; 0: between messages */
};

enum { GRPC_WEB_ROOM = 8 }; /* bytes of room that each call of decode and encode needs at least */

/* Eats from the front of *text as much as there is room for (room >= GRPC_WEB_ROOM) and writes what
 * it means to `out`: bytes written, or -1 when it is not base64. Call until *text is empty. */
int grpc_web_decode(struct grpc_web_decoder *decoder, struct str *text, char *out, int room);
/* No group is begun: the text may end here. */
bool grpc_web_is_whole(const struct grpc_web_decoder *decoder);

/* Eats from the front of *bytes as much as there is room for, writes base64 to `out`: bytes
 * written. What makes no whole group waits for the next call. */
int grpc_web_encode(struct grpc_web_encoder *encoder, struct str *bytes, char *out, int room);
/* Writes the group that waits, padded: 0 or 4 bytes. */
int grpc_web_pad(struct grpc_web_encoder *encoder, char *out);

/* Follows the messages in `bytes`. False: one has a flag that is not known. */
bool grpc_web_follow(struct grpc_web_frames *frames, struct str bytes);
/* A message is whole, or none has begun. */
bool grpc_web_is_between(const struct grpc_web_frames *frames);

/* The frame that carries `trailers`: 0x80, length, "name: value" lines with lower-case names. Of
 * the arena; {NULL, 0} when that is at its limit. */
struct str grpc_web_trailers(struct arena *arena, const struct head *trailers);

#endif

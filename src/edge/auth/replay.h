/* SPDX-License-Identifier: Apache-2.0
 *
 * Which signatures have been accepted, for all workers and without a lock: eight bytes each, in
 * cache lines of eight slots, of which each signature has two candidates. A slot whose time is over
 * is free, and nothing sweeps. Of the same signature at the same time at most one is new. When all
 * sixteen slots are in use it says so: to forget one would let it in again. The memory outlives the
 * edge, and several processes may have it mapped. Any thread.
 */
#ifndef EDGE_AUTH_REPLAY_H
#define EDGE_AUTH_REPLAY_H

#include "edge/limit/limiter.h"

#define REPLAY_MEMORY_NAME "replay-1" /* of this layout */
enum { REPLAY_SIZE = 32 * 1024 * 1024 /* four million slots; at six tenths none is full */ };

struct replay;

enum replay_answer { REPLAY_NEW, REPLAY_SEEN, REPLAY_FULL };

/* Maps it; takes the descriptor over, whatever it returns. -1: memory of this process alone. NULL:
 * there is none. */
struct replay *replay_open(int fd);
/* Clears the pointer; NULL is fine. */
void replay_close(struct replay **replay);

/* Whether it is new, and remembers it then until `until_ms`, and up to two minutes longer. Times
 * are Unix milliseconds. */
enum replay_answer replay_note(struct replay *replay, struct limiter_key key, uint64_t now_ms,
                               uint64_t until_ms);

#endif

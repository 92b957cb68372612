/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenSSL has to say about a failure. Its error queue is a thread's, and whoever leaves
 * something in it confuses the next connection of that thread: after a call that failed one of
 * these empties it. Any thread.
 */
#ifndef TLS_TLS_ERROR_H
#define TLS_TLS_ERROR_H

/* The reason of the error that came last, static text such as "no start line"; empties the queue.
 */
const char *tls_error_take(void);
/* Empties the queue. */
void tls_error_drop(void);

#endif

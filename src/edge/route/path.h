/* SPDX-License-Identifier: Apache-2.0
 *
 * The path as routes see it: dot segments removed, repeated slashes merged, and what need
 * not be percent-encoded decoded (RFC 3986 6.2.2), so that neither "/a/../admin" nor "/%61dmin"
 * passes by the route of "/admin". An encoded slash stays one. Private to this folder; pure.
 */
#ifndef EDGE_ROUTE_PATH_H
#define EDGE_ROUTE_PATH_H

#include "config/conf.h"

enum { ROUTE_PATH_MAX = 8192 }; /* bytes of a path that needs work; a longer one fits nothing */

/* `path` itself where nothing is to be done, else the normal form in `buffer` (ROUTE_PATH_MAX
 * bytes); absent when it is too long for that. */
struct str route_path_view(struct str path, char *buffer);

/* An exact path or prefix of the file in the same form, a prefix without slashes at its end; as
 * above. */
struct str route_path_written(const struct conf_path *path, char *buffer);

/* Whether `path` is `prefix` or lies below it. */
bool route_path_is_under(struct str path, struct str prefix);

/* The host of authority without its port and without the root's dot; brackets of an IPv6 address
 * stay. */
struct str route_path_host(struct str authority);

#endif

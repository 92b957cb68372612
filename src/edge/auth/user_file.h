/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and the hashes of their passwords in a file of htpasswd's form: NAME:HASH a line, lines
 * with a # and empty ones aside. Read again when it changes; what cannot be used leaves the last
 * good list in place. Workers look users up without waiting.
 */
#ifndef EDGE_AUTH_USER_FILE_H
#define EDGE_AUTH_USER_FILE_H

#include "sluice/types.h"

enum { USER_FILE_ERROR = 512, USER_FILE_BYTES_MAX = 8 * 1024 * 1024 };

struct user {
    struct str name, hash;
};

/* Immutable; sorted by name, each name once; empty when all were taken out of the file. */
struct user_list {
    struct user *users;
    uint32_t count;
};

struct user_file;

/* For workers 0 to workers - 1. NULL with words: "PATH:LINE: what is wrong", or that it has no
 * users. Blocking. */
struct user_file *user_file_open(struct str path, unsigned workers, char error[USER_FILE_ERROR]);
/* No worker asks any more. Clears the pointer; it may be NULL. */
void user_file_free(struct user_file **file);

/* Reads it again when two calls have seen the same change, and says on stderr what came of it; one
 * that cannot be read is tried again at each call.
 * Blocking; one thread at a time. */
void user_file_look(struct user_file *file);

/* How many users it has. Any thread. */
uint32_t user_file_count(const struct user_file *file);

/* The list, until this worker asks again. */
const struct user_list *user_file_users(struct user_file *file, unsigned worker);
/* NULL: there is no such user. */
const struct user *user_list_find(const struct user_list *list, struct str name);

/* Why a user's name cannot be one (static text), NULL when it can: RFC 7617 section 2. */
const char *user_name_wrong(struct str name);
/* The same of a hash, by its method. */
const char *user_hash_wrong(struct str hash);

#endif

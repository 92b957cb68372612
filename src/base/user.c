/* SPDX-License-Identifier: Apache-2.0 */
#include "base/user.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

enum status user_find(const char *name, bool is_required, struct user *user)
{
    const struct passwd *entry;

    *user = (struct user){.name = ""};
    if (getuid() != 0)
        return OK;
    entry = getpwnam(name);
    if (!entry)
        return is_required ? E_NOT_FOUND : OK;
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    snprintf(user->name, sizeof(user->name), "%s", entry->pw_name);
    return OK;
}

enum status user_become(const struct user *user, const char *state, int fd)
{
    if (!*user->name)
        return OK;
    if (chown(state, user->uid, user->gid) || (fd >= 0 && fchown(fd, user->uid, user->gid)) ||
        initgroups(user->name, user->gid) || setgid(user->gid) || setuid(user->uid))
        return E_IO;
    prctl(PR_SET_PDEATHSIG, SIGTERM); // changing the user cleared it
    return OK;
}

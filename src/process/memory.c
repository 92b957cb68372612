/* SPDX-License-Identifier: Apache-2.0 */
#include "process/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* It stands at the end of a handover line, and in /proc. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len && len < MEMORY_NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static struct memory_block *find(struct memory *memory, const char *name)
{
    for (unsigned i = 0; i < memory->count; i++)
        if (!strcmp(memory->blocks[i].name, name))
            return &memory->blocks[i];
    return NULL;
}

/* Sealed, so that no edge can pull it away under another; -1 with errno. */
static int make(const char *name, uint64_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

enum status memory_open(struct memory *memory, const char *name, uint64_t size, int *fd,
                        char *error)
{
    if (!is_name(name) || !size || size > MEMORY_BYTES_MAX) {
        snprintf(error, LINK_ERROR_SIZE, "memory needs a short name and a size of at most 1 GiB");
        return E_INVALID;
    }
    struct memory_block *block = find(memory, name);
    if (block && block->size != size) {
        snprintf(error, LINK_ERROR_SIZE, "memory \"%s\" has %" PRIu64 " bytes, not %" PRIu64, name,
                 block->size, size);
        return E_CONFLICT;
    }
    if (!block && memory->count == MEMORY_BLOCKS_MAX) {
        snprintf(error, LINK_ERROR_SIZE, "more than %d blocks of memory", MEMORY_BLOCKS_MAX);
        return E_FULL;
    }
    if (!block) {
        int made = make(name, size);
        if (made < 0) {
            snprintf(error, LINK_ERROR_SIZE, "memory \"%s\": %s", name, strerror(errno));
            return E_IO;
        }
        block = &memory->blocks[memory->count++];
        *block = (struct memory_block){.size = size, .fd = made};
        snprintf(block->name, sizeof block->name, "%s", name);
    }
    *fd = block->fd;
    return OK;
}

void memory_fini(struct memory *memory)
{
    while (memory->count)
        close(memory->blocks[--memory->count].fd);
}

void memory_write(const struct memory *memory, FILE *out)
{
    for (unsigned i = 0; i < memory->count; i++)
        fprintf(out, "memory %d %" PRIu64 " %s\n", memory->blocks[i].fd, memory->blocks[i].size,
                memory->blocks[i].name);
}

enum status memory_read(struct memory *memory, const char *line)
{
    struct memory_block block = {.fd = -1};
    struct stat file;
    if (memory->count == MEMORY_BLOCKS_MAX ||
        sscanf(line, "%9d %20" SCNu64 " %63s", &block.fd, &block.size, block.name) != 3 ||
        !is_name(block.name) || find(memory, block.name))
        return E_INVALID;
    if (fstat(block.fd, &file) < 0 || (uint64_t)file.st_size != block.size)
        return E_INVALID;
    memory->blocks[memory->count++] = block;
    return OK;
}

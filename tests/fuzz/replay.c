/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz driver over the files of a corpus, one after the other: how corpora are unit tests in
 * builds without libFuzzer. Linked with one tests/fuzz/fuzz_*.c. A finding is a crash, so there is
 * no verdict to report; an empty or missing corpus is a failure, since such a run would have shown
 * nothing.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *slurp(FILE *file, size_t *size)
{
    uint8_t *data = NULL;
    if (fseek(file, 0, SEEK_END))
        return NULL;
    long end = ftell(file);
    if (end < 0 || fseek(file, 0, SEEK_SET))
        return NULL;
    *size = (size_t)end;
    data = malloc(*size ? *size : 1);
    if (data && fread(data, 1, *size, file) != *size) {
        free(data);
        data = NULL;
    }
    return data;
}

static bool replay(const char *folder, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t size = 0;
    uint8_t *data = slurp(file, &size);
    (void)fclose(file);
    if (!data)
        return false;
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return true;
}

static unsigned replay_folder(const char *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        if (entry->d_name[0] == '.')
            continue;
        if (!replay(folder, entry->d_name)) {
            (void)fprintf(stderr, "%s/%s: cannot be read\n", folder, entry->d_name);
            count = 0;
            break;
        }
        count++;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = argc == 2 ? replay_folder(argv[1]) : 0;
    printf("%u inputs replayed\n", count);
    return count ? 0 : 1;
}

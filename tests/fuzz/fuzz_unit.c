/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as an ask of control, as a message of the supervisor, as a record on disk
 * and as the lines that one binary leaves for the next. The first byte chooses. What is taken must
 * be as unit_wire.h says; records must come out as they went in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process/unit_record.h"
#include "process/unit_wire.h"
#include "process/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good)
        abort();
}

static void read_ask(const uint8_t *data, size_t size)
{
    struct unit_ask ask = {.magic = UNIT_MAGIC};
    size_t room = sizeof ask - sizeof ask.magic;

    memcpy((char *)&ask + sizeof ask.magic, data, size < room ? size : room);
    if (!unit_is_ask(&ask))
        return;
    check(ask.number && ask.call >= UNIT_START && ask.call < UNIT_CALLS);
    if (ask.call != UNIT_LIST)
        check(!strchr(ask.id, '/') && ask.id[0] != '.' && strlen(ask.id) < UNIT_ID_SIZE);
    if (ask.call != UNIT_START)
        return;
    check(!strchr(ask.release, '/') && ask.release[0] != '.');
    for (size_t at = 0; at < ask.env_len; at += strlen(ask.env + at) + 1)
        check(!strncmp(ask.env + at, "SLUICE_DEPLOY_", 14) && strchr(ask.env + at, '='));
}

static void read_message(const uint8_t *data, size_t size)
{
    struct unit_message *message = calloc(1, sizeof *message);
    size_t room = sizeof *message - sizeof message->head.magic;

    check(message != NULL);
    message->head.magic = UNIT_MAGIC;
    memcpy((char *)message + sizeof message->head.magic, data, size < room ? size : room);
    if (unit_is_message(message, size + sizeof message->head.magic)) {
        check(strlen(message->head.error) < UNIT_REASON_SIZE);
        for (uint32_t i = 0; i < message->head.count; i++)
            check(message->views[i].tail_len <= UNIT_TAIL_SIZE &&
                  strlen(message->views[i].id) < UNIT_ID_SIZE);
    }
    free(message);
}

static void read_record(const char *text)
{
    struct unit_record record, again;
    char line[256];

    if (unit_record_parse(text, &record))
        return;
    check(record.session > 1 && record.supervisor > 0);
    check(unit_record_format(&record, line, sizeof line) > 0);
    check(!unit_record_parse(line, &again) && !memcmp(&record, &again, sizeof record));
}

/* Their logs are descriptors, and none that a line can name is one: units are refused at last. */
static void read_line(char *text)
{
    struct units *units = calloc(1, sizeof *units);

    check(units != NULL);
    units_init(units);
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        if (units_read_line(units, line))
            break;
    check(!units_count(units));
    free(units);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size ? calloc(size, 1) : NULL;

    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    if (data[0] % 4 == 0)
        read_ask(data + 1, size - 1);
    else if (data[0] % 4 == 1)
        read_message(data + 1, size - 1);
    else if (data[0] % 4 == 2)
        read_record(text);
    else
        read_line(text);
    free(text);
    return 0;
}

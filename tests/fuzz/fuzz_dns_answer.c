/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as a DNS answer of every type. Nothing may crash, hang, leak or keep more
 * than it should; and what is read is sorted, without doubles, with names that print.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/dns_answer.h"
#include "edge/upstream/dns_fly.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void check_record(const struct dns_record *record, enum dns_type type)
{
    if (type == DNS_SRV) {
        require(record->target.len > 0 && record->target.len < DNS_NAME_MAX, "a name");
        require(strlen(record->target.p) == record->target.len, "a NUL behind the name");
        require(!dns_address_len(&record->address), "no address yet");
        return;
    }
    require(!record->target.p, "no name");
    require(record->address.any.sa_family == (type == DNS_A ? AF_INET : AF_INET6), "a family");
    require(record->port == 80, "the port");
}

static void check_answer(struct str bytes, enum dns_type type)
{
    struct dns_answer answer, again;

    dns_answer_init(&answer);
    dns_answer_init(&again);
    if (!dns_answer_read(&answer, bytes, type, 80)) {
        require(!dns_answer_read(&again, bytes, type, 80), "the same again");
        dns_answer_settle(&answer);
        dns_answer_settle(&again);
        require(answer.count <= DNS_RECORDS_MAX, "a bound");
        require(dns_answer_equal(&answer, &again), "the same set");
        require(!answer.count == (answer.ttl_s == UINT32_MAX), "a TTL for records");
        for (uint32_t i = 0; i < answer.count; i++)
            check_record(&answer.records[i], type);
    }
    dns_answer_free(&answer);
    dns_answer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size}, text;
    struct dns_fly_machine machines[8];

    check_answer(bytes, DNS_A);
    check_answer(bytes, DNS_AAAA);
    check_answer(bytes, DNS_SRV);
    if (!dns_answer_text(bytes, &text)) {
        require(text.len <= size && !text.p[text.len], "a text");
        require(dns_fly_parse(text, machines, 8) <= 8, "machines");
        free((void *)(uintptr_t)text.p);
    }
    dns_fly_parse(bytes, machines, 8);
    return 0;
}

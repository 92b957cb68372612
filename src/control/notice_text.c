/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notice_text.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

enum { SUBJECT_MAX = 200 };

static const char *text_of(const json_t *notice, const char *name)
{
    const char *text = json_string_value(json_object_get(notice, name));

    return text ? text : "";
}

static size_t first_shown(const struct notice_message *message)
{
    size_t count = json_array_size(message->notices);

    return count > NOTICE_SHOWN_MAX ? count - NOTICE_SHOWN_MAX : 0;
}

static uint64_t more(const struct notice_message *message)
{
    return message->unshown + first_shown(message);
}

/* --- plain text */

/* Writes all, one paragraph each, with `end` at the ends of lines. */
static void write_text(FILE *out, const struct notice_message *message, const char *end)
{
    const json_t *notice;
    size_t i;

    for (i = first_shown(message); (notice = json_array_get(message->notices, i)); i++) {
        const char *next = text_of(notice, "next");

        fprintf(out, "%s%s", text_of(notice, "text"), end);
        if (*next)
            fprintf(out, "Next: %s%s", next, end);
        fputs(end, out);
    }
    if (more(message))
        fprintf(out, "And %llu more before these: sluice history%s",
                (unsigned long long)more(message), end);
}

static char *plain(const struct notice_message *message, const char *end)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool is_bad;

    if (!out)
        return NULL;
    write_text(out, message, end);
    is_bad = ferror(out);
    if (!fclose(out) && !is_bad)
        return text;
    free(text);
    return NULL;
}

/* --- Slack */

/* Its three characters of markup, as its manual says:
 * https://api.slack.com/reference/surfaces/formatting#escaping */
static char *escape(const char *text)
{
    char *escaped = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&escaped, &len);

    if (!out)
        return NULL;
    for (; *text; text++)
        if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else
            putc(*text, out);
    if (!fclose(out))
        return escaped;
    free(escaped);
    return NULL;
}

/* Takes the JSON. */
static char *dump(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text;
}

char *notice_slack(const struct notice_message *message)
{
    char *text = plain(message, "\n"), *escaped = text ? escape(text) : NULL;
    char *body = escaped ? dump(json_pack("{s:s}", "text", escaped)) : NULL;

    free(text);
    free(escaped);
    return body;
}

/* --- webhooks */

char *notice_webhook(const struct notice_message *message)
{
    char *text = plain(message, "\n"), *body = NULL;
    json_t *shown = json_array();
    const json_t *notice;

    for (size_t i = first_shown(message); (notice = json_array_get(message->notices, i)); i++)
        json_array_append(shown, (json_t *)(uintptr_t)notice);
    if (text)
        body = dump(json_pack("{s:s,s:I,s:s,s:o,s:I}", "id", message->id, "time_ms",
                              (json_int_t)message->now_ms, "text", text, "notices", shown, "more",
                              (json_int_t)more(message)));
    else
        json_decref(shown);
    free(text);
    return body;
}

char *notice_sign(struct str secret, int64_t now_ms, const char *body)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "", *signed_text = NULL, *field = NULL;
    unsigned len = 0;
    long long now_s = (long long)(now_ms / 1000);

    if (asprintf(&signed_text, "%lld.%s", now_s, body) < 0)
        return NULL;
    if (HMAC(EVP_sha256(), secret.p, (int)secret.len, (const unsigned char *)signed_text,
             strlen(signed_text), mac, &len)) {
        *text_hex_bytes(hex, mac, len) = '\0';
        if (asprintf(&field, "Sluice-Signature: t=%lld,v1=%s", now_s, hex) < 0)
            field = NULL;
    }
    free(signed_text);
    return field;
}

/* --- e-mail */

/* What happened last; only what stands in a head as it is. */
static void write_subject(FILE *out, const struct notice_message *message)
{
    size_t count = json_array_size(message->notices);
    const char *text = text_of(json_array_get(message->notices, count - 1), "text");
    unsigned written = 0;

    fputs("Subject: [sluice] ", out);
    for (; *text && written < SUBJECT_MAX && strncmp(text, ". ", 2) != 0; text++, written++)
        putc(*text >= 0x20 && *text < 0x7f ? *text : '?', out);
    if (count - 1 + message->unshown)
        fprintf(out, " (and %llu more)", (unsigned long long)(count - 1 + message->unshown));
    fputs("\r\n", out);
}

static void write_head(FILE *out, const struct notice_message *message,
                       const struct conf_notice_smtp *smtp)
{
    time_t now_s = (time_t)(message->now_ms / 1000);
    const char *at = memchr(smtp->from.s.p, '@', smtp->from.s.len);
    struct str host = {at, (size_t)(smtp->from.s.p + smtp->from.s.len - at)};
    char date[64];
    struct tm tm;

    gmtime_r(&now_s, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    fprintf(out, "Date: %s\r\nFrom: Sluice <%.*s>\r\nTo: ", date, STR_FMT(smtp->from.s));
    for (uint32_t i = 0; i < smtp->to.count; i++) // folded: a line has at most 998 bytes
        fprintf(out, "%s<%.*s>", i ? ",\r\n " : "", STR_FMT(smtp->to.items[i].s));
    fputs("\r\n", out);
    write_subject(out, message);
    fprintf(out,
            "Message-ID: <%s%.*s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            message->id, STR_FMT(host));
}

/* RFC 2045 section 6.8: lines of 76. */
static void write_base64(FILE *out, const char *text)
{
    enum { PIECE = 57 };
    size_t left = strlen(text);
    unsigned char line[80];

    for (; left; text += left < PIECE ? left : PIECE, left -= left < PIECE ? left : PIECE) {
        EVP_EncodeBlock(line, (const unsigned char *)text, (int)(left < PIECE ? left : PIECE));
        fprintf(out, "%s\r\n", line);
    }
}

char *notice_mail(const struct notice_message *message, const struct conf_notice_smtp *smtp)
{
    char *text = plain(message, "\r\n"), *mail = NULL;
    size_t len = 0;
    FILE *out = text ? open_memstream(&mail, &len) : NULL;

    if (out) {
        write_head(out, message, smtp);
        write_base64(out, text);
        if (fclose(out)) {
            free(mail);
            mail = NULL;
        }
    }
    free(text);
    return mail;
}

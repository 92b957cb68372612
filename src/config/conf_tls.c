/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `tls`: that of a listener, with certificates, ACME and HSTS, and that of a service.
 * What files must hold is not looked at here: see check_tls in struct conf_world.
 */
#include "config/conf_table.h"
#include "config/tree.h"

enum { TICKET_MAX_MS = 168 * 3600 * 1000 }; /* RFC 8446 4.6.1: tickets live a week at most */
#define HSTS_MAX_MS (UINT64_C(87600) * 3600 * 1000)

const struct field conf_certificate_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_certificate, at)},
    {.name = "cert",
     .doc = "File with the certificate and those between it and the root, in PEM.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_certificate, cert)},
    {.name = "key",
     .doc = "File with its private key, in PEM.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_certificate, key)},
    FIELD_END,
};

static const char *const challenges[] = {"auto", "http-01", "tls-alpn-01", NULL};
static const char *const versions[] = {"1.2", "1.3", NULL};
static const char *const client_auths[] = {"required", "optional", NULL};
static const char *const unknown_names[] = {"default", "reject", NULL};

static const struct field acme_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_acme, at)},
    {.name = "email",
     .doc = "Whom the certificate authority may write to.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_acme, email)},
    {.name = "domains",
     .doc = "Names to have certificates for; no wildcards.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     .offset = offsetof(struct conf_acme, domains.items),
     .count_offset = offsetof(struct conf_acme, domains.count),
     .size = sizeof(void *),
     .element_size = sizeof(struct conf_text)},
    {.name = "directory",
     .doc = "`production` or `staging` of Let's Encrypt, or the URL of another directory.",
     .standard = "production",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_acme, directory)},
    {.name = "ca",
     .doc = "File with the roots to trust at the directory; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_acme, ca)},
    {.name = "challenge",
     .doc = "How a domain is proved; `auto`: http-01, then tls-alpn-01.",
     .standard = "auto",
     .type = FIELD_ENUM,
     .words = challenges,
     FIELD_AT(struct conf_acme, challenge)},
    FIELD_END,
};

static const struct field hsts_fields[] = {
    {.name = "max_age",
     .doc = "For how long browsers insist on HTTPS; `off`: the header is not sent.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = HSTS_MAX_MS,
     FIELD_AT(struct conf_tls, hsts.max_age_ms)},
    {.name = "subdomains",
     .doc = "Also for all names below this one.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_tls, hsts.subdomains)},
    {.name = "preload",
     .doc = "Consent to the lists that browsers ship.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_tls, hsts.preload)},
    FIELD_END,
};

const struct field conf_tls_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_tls, at)},
    {.name = "certificates",
     .doc =
         "Pairs of files, chosen by the name that the client asks for; the first is the default. "
         "Read again when they change.",
     .type = FIELD_LIST,
     .element =
         &(const struct field){.name = "", .type = FIELD_OBJECT, .fields = conf_certificate_fields},
     FIELD_ITEMS(struct conf_tls, certificates, certificate_count)},
    {.name = "acme",
     .doc = "Certificates that are ordered and renewed by themselves (RFC 8555).",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = acme_fields,
     .count_offset = offsetof(struct conf_tls, acme.is_set),
     FIELD_AT(struct conf_tls, acme)},
    {.name = "min_version",
     .doc = "The oldest version of TLS that is spoken.",
     .standard = "1.2",
     .type = FIELD_ENUM,
     .words = versions,
     FIELD_AT(struct conf_tls, min_version)},
    {.name = "client_ca",
     .doc = "File with the roots that certificates of clients must come from; not written: clients "
            "show none.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_tls, client_ca)},
    {.name = "client_auth",
     .doc = "Whether a client without a certificate is turned away.",
     .standard = "required",
     .type = FIELD_ENUM,
     .flags = FIELD_PRESENT,
     .words = client_auths,
     .count_offset = offsetof(struct conf_tls, has_client_auth),
     FIELD_AT(struct conf_tls, client_auth)},
    {.name = "client_header",
     .doc = "Header in which targets get the subject of the client's certificate.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_tls, client_header)},
    {.name = "unknown_name",
     .doc = "What a client gets that asks for a name without certificate: the default one, or an "
            "alert.",
     .standard = "default",
     .type = FIELD_ENUM,
     .words = unknown_names,
     FIELD_AT(struct conf_tls, unknown_name)},
    {.name = "ticket_rotation",
     .doc = "How long one key seals session tickets; the shortest of all listeners counts. `off`: "
            "no tickets here.",
     .standard = "12h",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = TICKET_MAX_MS,
     FIELD_AT(struct conf_tls, ticket_rotation_ms)},
    {.name = "hsts",
     .doc = "Strict-Transport-Security (RFC 6797) on every answer.",
     .type = FIELD_OBJECT,
     .fields = hsts_fields},
    FIELD_END,
};

const struct field conf_target_tls_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_target_tls, at)},
    {.name = "ca",
     .doc = "`system`, or a file with the roots that targets' certificates must come from.",
     .standard = "system",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target_tls, ca)},
    {.name = "name",
     .doc = "The name that is asked for and that the certificate must have; `auto`: the host of "
            "the target's address.",
     .standard = "auto",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target_tls, name)},
    {.name = "verify",
     .doc = "Whether certificate and name are checked.",
     .standard = "true",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_target_tls, verify)},
    {.name = "cert",
     .doc = "File with the certificate that targets are shown, in PEM.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target_tls, cert)},
    {.name = "key",
     .doc = "File with its private key, in PEM.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target_tls, key)},
    FIELD_END,
};

bool conf_target_tls_decode(struct decoder *decoder, const struct field *field,
                            const struct node *node, void *member)
{
    struct conf_target_tls *tls = member;

    if (tree_is_word(node, "off"))
        return true;
    if (node->kind != NODE_MAP) {
        diag_error(decoder->diag, tree_span(node), "expected off or a map, got %s",
                   tree_noun(node));
        diag_hint(decoder->diag, "write \"tls: {}\" for TLS with its defaults");
        return false;
    }
    tls->is_set = true;
    return field_decode(decoder, field->fields, node, tls);
}

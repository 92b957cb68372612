/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS on both sides: what a listener answers with, and how a service's targets are spoken to. Part
 * of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_TLS_H
#define CONFIG_CONF_TLS_H

#include "config/conf_text.h"

/* One pair of files: a chain in PEM, the leaf first, and its key. */
struct conf_certificate {
    struct span at;
    struct conf_text cert, key;
};

enum conf_acme_challenge { CONF_ACME_AUTO, CONF_ACME_HTTP_01, CONF_ACME_TLS_ALPN_01 };

/* Certificates that the control process orders (RFC 8555). */
struct conf_acme {
    bool is_set;
    struct span at;
    struct conf_text email;
    struct conf_texts domains;          /* lower case, no wildcards */
    struct conf_text directory;         /* URL; "production" and "staging" are Let's Encrypt's */
    struct conf_text ca;                /* bundle to trust at the directory; empty: the system's */
    enum conf_acme_challenge challenge; /* auto: http-01, then tls-alpn-01 */
};

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_client_auth { CONF_CLIENT_REQUIRED, CONF_CLIENT_OPTIONAL };
enum conf_unknown_name { CONF_UNKNOWN_DEFAULT, CONF_UNKNOWN_REJECT };

/* `tls` of a listener. */
struct conf_tls {
    bool is_set;
    struct span at;
    struct conf_certificate *certificates; /* the first is the default one */
    uint32_t certificate_count;
    struct conf_acme acme;
    enum conf_tls_version min_version;
    struct conf_text client_ca; /* bundle; empty: clients show no certificate */
    enum conf_client_auth client_auth;
    bool has_client_auth;           /* it was written */
    struct conf_text client_header; /* gets the subject of the client's certificate, in lower case;
                                       empty: off */
    enum conf_unknown_name unknown_name; /* SNI without certificate: the default one, or an alert */
    uint64_t ticket_rotation_ms; /* session tickets: how long one key seals; 0: no tickets */
    struct {
        uint64_t max_age_ms; /* of Strict-Transport-Security (RFC 6797); 0: not sent */
        bool subdomains, preload;
    } hsts;
};

/* `tls` of a service. */
struct conf_target_tls {
    bool is_set;
    struct span at;
    struct conf_text ca; /* bundle; "system": the machine's */
    struct conf_text
        name; /* SNI and the name the certificate must have; "auto": the target's host */
    bool verify;
    struct conf_text cert, key; /* shown to the target; empty: none */
};

#endif

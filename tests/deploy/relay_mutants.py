"""The relay's configuration with one line altered, and the promise that then has to be seen to fall.

Each is (file, what stands there, what shall stand there, the check).
"""

from tests.deploy import relay_checks as checks

MAIN, VALUES = "nginx.conf", "values.conf"
UNRECOGNISED = "    ssl_session_tickets off;\n    ssl_session_cache off;\n    ssl_conf_command NumTickets 0;"
HEADS_OF_OHTTP = """            proxy_set_header Host $gateway_name;
            proxy_set_header Connection "";
            proxy_set_header Content-Type message/ohttp-req;"""
HEADS_OF_DIRECTORY = """            proxy_set_header Host $gateway_name;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";"""
sealed, asked = (
    checks.of_a_sealed_request_nothing_goes_on_but_type_length_and_body,
    checks.of_a_question_for_a_directory_nothing_goes_on,
)
refused, shown = (
    checks.nothing_else_passes_and_the_refusal_tells_nothing,
    checks.of_an_answer_only_type_length_and_body_come_back,
)
one_copy, unwritten, in_memory = (
    checks.one_copy_of_a_directory_is_everybodys,
    checks.no_file_tells_of_a_box_after_all_that_can_go_wrong,
    checks.a_body_is_never_in_a_file_and_goes_on_only_when_it_is_whole,
)


def without(text, line, instead=""):
    assert line in text
    return text.replace(line, instead)


MUTANTS = [
    # (file, what stands there, what shall stand there, the promise that falls)
    (MAIN, "error_log /dev/null emerg;", "error_log error.log info;", unwritten),
    (MAIN, "error_log /dev/null emerg;", "", unwritten),
    (MAIN, "access_log off;", "access_log access.log;", unwritten),
    (MAIN, "worker_rlimit_core 0;", "worker_rlimit_core 1m;", checks.a_crash_leaves_no_memory_behind),
    (MAIN, "server_tokens off;", "", shown),
    (MAIN, "default_type application/problem+json;", "", refused),
    (
        MAIN,
        "    ssl_protocols TLSv1.3;",
        "    ssl_protocols TLSv1.2 TLSv1.3;",
        checks.older_tls_and_http_are_not_spoken,
    ),
    (MAIN, "ssl_conf_command NumTickets 0;", "", checks.no_ticket_is_handed_out),
    (MAIN, UNRECOGNISED, "ssl_session_cache off;", checks.no_session_is_taken_up_again),
    (
        MAIN,
        UNRECOGNISED,
        "ssl_session_tickets off; ssl_session_cache builtin;",
        checks.no_session_is_taken_up_again,
    ),
    (MAIN, "keepalive_timeout 0;", "", checks.a_box_gets_a_fresh_connection_and_only_one_exchange),
    (MAIN, "client_header_buffer_size 1k;", "client_header_buffer_size 16k;", refused),
    (MAIN, "large_client_header_buffers 2 4k;", "", refused),
    (MAIN, "limit_conn addresses 16;", "", checks.one_address_cannot_hold_all_connections),
    (MAIN, "limit_conn_status 429;", "", checks.one_address_cannot_hold_all_connections),
    (
        MAIN,
        "limit_conn_zone $binary_remote_addr zone",
        "limit_conn_zone $server_port zone",
        checks.one_address_cannot_hold_all_connections,
    ),
    (MAIN, "client_max_body_size 823;", "", refused),
    (MAIN, "client_body_buffer_size 1k;", "client_body_buffer_size 512;", in_memory),
    (MAIN, "client_body_in_file_only off;", "client_body_in_file_only on;", in_memory),
    (MAIN, "proxy_request_buffering on;", "proxy_request_buffering off;", in_memory),
    (MAIN, "proxy_max_temp_file_size 0;", "", checks.an_answer_is_never_in_a_file),
    (MAIN, "proxy_http_version 1.1;", "", sealed),
    (MAIN, "proxy_pass_request_headers off;", "", sealed),
    (MAIN, "proxy_pass_request_headers off;", "", asked),
    (MAIN, "proxy_ssl_protocols TLSv1.3;", "", checks.only_the_pinned_gateway_gets_anything),
    (MAIN, "proxy_ssl_verify on;", "", checks.only_the_pinned_gateway_gets_anything),
    (
        MAIN,
        "proxy_ssl_name $gateway_name;",
        "proxy_ssl_name elsewhere.example;",
        checks.only_the_pinned_gateway_gets_anything,
    ),
    (MAIN, "proxy_ssl_server_name on;", "", checks.the_gateway_is_asked_for_by_its_name),
    (
        MAIN,
        "proxy_next_upstream off;",
        "proxy_next_upstream error timeout non_idempotent;",
        checks.a_sealed_request_is_never_sent_twice,
    ),
    (MAIN, "proxy_ignore_client_abort on;", "", checks.the_gateway_does_not_learn_that_a_box_hung_up),
    (MAIN, "X-Accel-Redirect", "", checks.nothing_in_an_answer_leads_elsewhere),
    *[
        (MAIN, f" {name}{end}", end, one_copy)
        for name, end in (
            ("X-Accel-Expires", " "),
            ("Expires", " Cache"),
            ("Cache-Control", " Set"),
            ("Set-Cookie", " Vary"),
            ("Vary", ";\n    proxy_hide_header Accept-CH"),
        )
    ],
    (MAIN, "listen 443 ssl;", "listen 443 ssl http2;", checks.older_tls_and_http_are_not_spoken),
    (MAIN, "if ($request_uri != $uri)", "if ($request_uri = 7)", refused),
    (MAIN, "if ($request_method != POST)", "if ($request_method = 7)", refused),
    (MAIN, "if ($content_type != message/ohttp-req)", "if ($content_type = 7)", refused),
    (MAIN, "if ($content_length != 823)", "if ($content_length = 7)", refused),
    (MAIN, "if ($request_method != GET)", "if ($request_method = 7)", refused),
    (MAIN, "location = /ohttp", "location /ohttp", refused),
    (MAIN, "(?:0[1-9]|[1-4][0-9]|5[0-3]))$", "[0-9]+)$", refused),
    (MAIN, "(?:0[1-9]|[1-4][0-9]|5[0-3]))$", "(?:0[1-9]|[1-4][0-9]|5[0-3]))", refused),
    *[
        (MAIN, HEADS_OF_OHTTP, without(HEADS_OF_OHTTP, line), check)
        for line, check in (
            ("proxy_set_header Host $gateway_name;", sealed),
            ('proxy_set_header Connection "";', sealed),
            ("proxy_set_header Content-Type message/ohttp-req;", sealed),
        )
    ],
    (
        MAIN,
        HEADS_OF_OHTTP,
        HEADS_OF_OHTTP + "proxy_set_header X-Real-IP $remote_addr;",
        checks.every_request_reaches_the_gateway_in_the_same_bytes,
    ),
    *[
        (MAIN, HEADS_OF_DIRECTORY, without(HEADS_OF_DIRECTORY, line), asked)
        for line in (
            "proxy_set_header Host $gateway_name;",
            'proxy_set_header Connection "";',
            'proxy_set_header Content-Length "";',
        )
    ],
    (
        MAIN,
        "proxy_pass https://gateway/analytics/ohttp;",
        "proxy_pass https://gateway/analytics/ohttp?box=$remote_port;",
        sealed,
    ),
    (
        MAIN,
        "proxy_pass https://gateway/analytics/directory/$week;",
        "proxy_pass https://gateway/analytics/directory/$week$http_user_agent;",
        asked,
    ),
    (MAIN, "proxy_pass_request_body off;", "", asked),
    (MAIN, "proxy_cache directories;", "", one_copy),
    (MAIN, "proxy_cache_key $week;", "proxy_cache_key $week$http_user_agent;", one_copy),
    (MAIN, "proxy_cache_key $week;", "proxy_cache_key $week$binary_remote_addr;", one_copy),
    (MAIN, "proxy_cache_key $week;", "proxy_cache_key $host$week;", one_copy),
    (
        MAIN,
        "proxy_cache_key $week;",
        'proxy_cache_key "$week $remote_addr";',
        checks.what_is_kept_is_the_public_file_and_nothing_of_who_asked,
    ),
    (
        MAIN,
        "proxy_cache_valid 200 9d;",
        "proxy_cache_valid any 9d;",
        checks.only_a_directory_that_was_found_is_kept,
    ),
    (MAIN, "proxy_cache_lock on;", "", checks.many_who_ask_at_once_are_one_question),
    *[
        (MAIN, f"error_page {codes};", "", check)
        for codes, check in (
            ("413 @too-large", refused),
            ("429 @busy", checks.one_address_cannot_hold_all_connections),
            ("500 502 503 504 =502 @gateway-down", checks.a_sealed_request_is_never_sent_twice),
        )
    ],
    (
        MAIN,
        "error_page 413 @too-large;",
        "error_page 400 413 @too-large; proxy_intercept_errors on;",
        checks.a_refusal_of_the_gateway_comes_back_as_it_is,
    ),
    (VALUES, "keepalive 16;", "", checks.many_boxes_share_few_connections_to_the_gateway),
    (
        VALUES,
        "default gateway.example;",
        "default elsewhere.example;",
        checks.only_the_pinned_gateway_gets_anything,
    ),
    (VALUES, "proxy_ssl_certificate         line.pem;", "", sealed),
    (
        VALUES,
        "proxy_ssl_trusted_certificate line-ca.pem;",
        "proxy_ssl_trusted_certificate relay.pem;",
        sealed,
    ),
    *[
        (MAIN, f"{before}return {status} ", f"{before}return 418 ", check)
        for before, status, check in (
            ("the same address\n            ", 404, refused),
            ("!= POST) {\n                ", 405, refused),
            ("", 415, refused),
            ("", 400, refused),
            ("!= GET) {\n                ", 405, refused),
            ("location / {\n            ", 404, refused),
        )
    ],
    *[
        (MAIN, f"problem:{name}", "problem:none", check)
        for name, check in (
            ("too-large", refused),
            ("busy", checks.one_address_cannot_hold_all_connections),
            ("gateway-down", checks.a_sealed_request_is_never_sent_twice),
        )
    ],
]

"""Keys inside Celery's settings that an environment variable has set, and that are in upper case: Celery's are not.

Beside the names of options there are names of the user's own, of queues and of properties: those stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from opa.tasks.options import OPTIONS

_RETRYING = frozenset({"max_retries", "interval_start", "interval_step", "interval_max", "timeout", "retry_errors"})
_MESSAGE = frozenset(
    {
        *("queue", "exchange", "exchange_type", "routing_key", "priority", "delivery_mode", "mandatory", "immediate"),
        *("serializer", "compression", "expires", "countdown", "time_limit", "soft_time_limit", "ignore_result"),
        *("retry", "retry_policy", "headers", "shadow", "reply_to"),
    }
)
_QUEUE = frozenset(
    {
        *("exchange", "exchange_type", "exchange_durable", "exchange_auto_delete", "exchange_arguments"),
        *("routing_key", "binding_key", "binding_arguments", "bindings", "consumer_arguments", "delivery_mode"),
        *("queue_arguments", "queue_durable", "queue_auto_delete", "durable", "auto_delete", "exclusive", "no_ack"),
        *("no_declare", "alias", "expires", "message_ttl", "max_length", "max_length_bytes", "max_priority"),
    }
)
_CERTIFICATES = frozenset(
    {
        *("ca_certs", "certfile", "keyfile", "cert_reqs", "ca_data", "ca_path", "password", "ciphers"),
        *("check_hostname", "server_hostname", "server_side", "ssl_version", "min_version"),
    }
)
_TLS = _CERTIFICATES | {f"ssl_{name}" for name in _CERTIFICATES}
_TRANSPORT = frozenset(
    {
        *(_RETRYING - {"timeout", "retry_errors"}),
        *("connect_retries_timeout", "polling_interval", "body_encoding", "deadletter_queue", "visibility_timeout"),
        # amqp
        *("client_properties", "confirm_publish", "read_timeout", "write_timeout", "socket_settings", "locale"),
        *("channel_max", "frame_max", "login_method", "authentication"),
        # redis
        *("sep", "ack_emulation", "unacked_key", "unacked_index_key", "unacked_mutex_key", "unacked_mutex_expire"),
        *("unacked_restore_limit", "unacked_restore_interval", "unacked_restore_throttle", "fanout_prefix"),
        *("fanout_patterns", "global_keyprefix", "socket_timeout", "socket_connect_timeout", "socket_keepalive"),
        *("socket_keepalive_options", "queue_order_strategy", "max_connections", "health_check_interval"),
        *("retry_on_timeout", "priority_steps", "client_name", "master_name", "min_other_sentinels"),
        *("sentinel_kwargs", "sentinel_fanout_compat", "delivery_limit"),
        # SQS and other clouds
        *("region", "endpoint_url", "is_secure", "port", "wait_time_seconds", "queue_name_prefix", "queue_tags"),
        *("predefined_queues", "sts_role_arn", "sts_token_timeout", "sts_token_buffer_time", "client-config"),
        *("sqs-creation-attributes", "retry_total", "peek_lock_seconds", "max_poll_seconds"),
        # results
        *("retry_policy", "result_chord_ordered"),
    }
)

_OF_EACH: Mapping[str, Collection[str]] = {
    "task_routes": _MESSAGE,
    "task_annotations": OPTIONS,
    "task_queues": _QUEUE,
}
"""Settings with a name for each key of the first level, and the options below."""

_OF_SETTING: Mapping[str, Collection[str]] = {
    "broker_transport_options": _TRANSPORT,
    "result_backend_transport_options": _TRANSPORT,
    "task_publish_retry_policy": _RETRYING,
    "broker_use_ssl": _TLS,
    "redis_backend_use_ssl": _TLS,
}
_OF_OPTION: Mapping[str, Collection[str]] = {"retry_policy": _RETRYING}

_KEYWORDS = frozenset(
    {
        *("arangodb_backend_settings", "cache_backend_options", "cassandra_auth_kwargs", "cassandra_options"),
        *("couchbase_backend_settings", "database_engine_options", "database_table_names", "database_table_schemas"),
        "mongodb_backend_settings",
    }
)
"""Settings whose first level are the parameters of a client, whatever that is."""


MAPPINGS = frozenset({*_OF_EACH, *_OF_SETTING, *_KEYWORDS})
"""All of these."""


def with_keys_of_celery(name: str, value: Any) -> Any:
    """The value of a setting of Celery's, with the keys that Celery knows at their place; a text may be JSON.

    Args:
        name: such as `task_routes`.
    """
    if isinstance(value, str) and name in MAPPINGS:
        value = _from_json(value)
    if not isinstance(value, Mapping):
        return value
    if name in _OF_EACH:
        return {key: _lowered(options, _OF_EACH[name]) for key, options in value.items()}
    if name in _KEYWORDS:
        return _lowered(value, {key.lower() for key in value if isinstance(key, str)})
    # `opa.tasks.schedules` does it for `beat_schedule`: it knows the tasks.
    return _lowered(value, _OF_SETTING[name]) if name in _OF_SETTING else value


def _from_json(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _lowered(options: Any, known: Collection[str]) -> Any:
    if not isinstance(options, Mapping):
        return options
    lowered = {}
    for key, item in options.items():
        name = key.lower() if isinstance(key, str) and key.isupper() and key.lower() in known else key
        lowered[name] = _lowered(item, _OF_OPTION[name]) if name in _OF_OPTION else item
    return lowered

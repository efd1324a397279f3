"""The content hash of a record, version 1, with nothing but the standard library."""

import hashlib
import json


class Number(str):
    """A number literal, kept exactly as written."""


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number, object_pairs_hook=list_members)


def list_members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def canonical(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-8"))
        return "{" + ",".join(canonical(k) + ":" + canonical(v) for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def field(text):
    if text is None:
        return b"\x00"
    raw = text.encode("utf-8")
    return b"\x01" + len(raw).to_bytes(8, "big") + raw


def content_hash(data=None, source_system=None, file=None):
    """Takes data and file as JSON text, source_system as a string; None means absent."""

    def json_field(text):
        return field(None if text is None else canonical(parse(text)))

    hashed = b"\x01" + json_field(data) + field(source_system) + json_field(file)
    return hashlib.sha256(hashed).digest()[:16].hex()

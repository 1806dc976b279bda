"""Prints `envoy.txt`: the messages of Envoy's third API that istiod can decode.

    python3 envoy.py istiod.bin 'Istio 1.NN' > envoy.txt          # needs the package `protobuf`

`istiod.bin` is a FileDescriptorSet of what Go's `protoregistry.GlobalFiles` has where all packages of
`go-control-plane/envoy`, `go-control-plane/contrib`, `cncf/xds/go` and `istio.io/api` are imported, in the
versions of that release. No release takes fields out of the third API, so the newest will do.
"""

import sys

from google.protobuf import descriptor_pb2 as pb

F = pb.FieldDescriptorProto

# Any message of these may be named by an `@type`.
NAMED = ("envoy.config.", "envoy.extensions.", "io.istio.", "istio.envoy.", "stats.", "udpa.type.", "xds.")

BYTES = "string, like bytes"

WELL_KNOWN = {
    "Any": "typed",
    "BoolValue": "bool",
    "BytesValue": BYTES,
    "DoubleValue": "double",
    "Duration": "duration",
    "FieldMask": "string",
    "FloatValue": "double",
    "Int32Value": "int32",
    "Int64Value": "int64",
    "ListValue": "[any]",
    "StringValue": "string",
    "Struct": "object",
    "Timestamp": "string",
    "UInt32Value": "uint32",
    "UInt64Value": "uint64",
    "Value": "any",
}

SCALARS = {
    F.TYPE_BOOL: "bool",
    F.TYPE_BYTES: BYTES,
    F.TYPE_DOUBLE: "double",
    F.TYPE_FLOAT: "double",
    F.TYPE_STRING: "string",
    **dict.fromkeys((F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32), "int32"),
    **dict.fromkeys((F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64), "int64"),
    **dict.fromkeys((F.TYPE_UINT32, F.TYPE_FIXED32), "uint32"),
    **dict.fromkeys((F.TYPE_UINT64, F.TYPE_FIXED64), "uint64"),
}

messages, enums = {}, {}


def gather(prefix, found):
    enums.update((f"{prefix}.{it.name}", it) for it in found.enum_type)
    inner = found.message_type if isinstance(found, pb.FileDescriptorProto) else found.nested_type
    for message in inner:
        messages[f"{prefix}.{message.name}"] = message
        gather(f"{prefix}.{message.name}", message)


def value(field):
    if field.type in SCALARS:
        return SCALARS[field.type]
    name = field.type_name.lstrip(".")
    if field.type == F.TYPE_ENUM:
        # A word alone would be the name of a block.
        words = [it.name for it in enums[name].value]
        return " | ".join(words if len(words) > 1 else [*words, '""'])
    if name.startswith("google.protobuf."):
        return WELL_KNOWN.get(name.rsplit(".", 1)[1], "any")
    return name


def kind(field):
    inner = messages.get(field.type_name.lstrip("."))
    if inner is not None and inner.options.map_entry:
        return "{" + value(next(it for it in inner.field if it.name == "value")) + "}"
    return f"[{value(field)}]" if field.label == F.LABEL_REPEATED else value(field)


def block(name):
    message = messages[name]
    shared = [it.oneof_index for it in message.field if it.HasField("oneof_index")]
    lines = [name]
    for field in sorted(message.field, key=lambda it: it.name):
        line = f"  {field.name}: {kind(field)}"
        if field.HasField("oneof_index") and shared.count(field.oneof_index) > 1:
            line += f", one of {chr(ord('A') + field.oneof_index)}"
        lines.append(line)
    return "\n".join(lines)


def reach(names):
    rest, seen = list(names), set()
    while rest:
        name = rest.pop()
        if name in seen or name not in messages or name.startswith("google.protobuf."):
            continue
        seen.add(name)
        rest.extend(it.type_name.lstrip(".") for it in messages[name].field if it.type_name)
    return sorted(it for it in seen if not messages[it].options.map_entry)


files = pb.FileDescriptorSet()
with open(sys.argv[1], "rb") as text:
    files.ParseFromString(text.read())
for file in files.file:
    gather(file.package, file)
print(f"# Envoy's third API, every message that the istiod of {sys.argv[2]} can decode. Made by `envoy.py`.")
print("# How to read it: see `table.rs`. Source: Envoy's `api/` (Apache License 2.0).")
for name in reach(it for it in messages if it.startswith(NAMED)):
    print(f"\n{block(name)}")

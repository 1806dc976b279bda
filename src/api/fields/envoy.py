"""Prints `envoy.txt`: the messages of Envoy's third API that istiod can decode.

    python3 envoy.py istiod.bin 'Istio 1.NN' > envoy.txt          # needs the package `protobuf`

`istiod.bin` is a FileDescriptorSet of what Go's `protoregistry.GlobalFiles` has where all packages of
`go-control-plane/envoy`, `go-control-plane/contrib`, `cncf/xds/go` and `istio.io/api` are imported, in the
versions of that release. No release takes fields out of the third API, so the newest will do.
"""

import sys

from google.protobuf import descriptor_pb2 as pb
from google.protobuf import descriptor_pool, message_factory

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

UINT32_MAX = 2**32 - 1

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


def bounds(rules, step):
    """`1..5`, of numbers: what no whole number of 32 bits says is left out."""
    least = rules.gte if rules.HasField("gte") else rules.gt + step if rules.HasField("gt") else None
    most = rules.lte if rules.HasField("lte") else rules.lt - step if rules.HasField("lt") else None
    told = [it for it in (least, most) if it is not None]
    if not told or told == [0] or any(it != int(it) or not 0 <= it <= UINT32_MAX for it in told):
        return None, []
    return least, ["..".join("" if it is None else str(int(it)) for it in (least, most))]


def facts(field):
    """What Envoy's own validation refuses, as far as the table has words for it."""
    options = read_options(field.options.SerializeToString())
    if not options.HasExtension(rules_of_fields):
        return []
    all_rules = options.Extensions[rules_of_fields]
    found, required = [], all_rules.HasField("message") and all_rules.message.required
    kind = all_rules.WhichOneof("type")
    rules = getattr(all_rules, kind) if kind else None
    if kind in ("any", "duration", "timestamp"):
        required |= rules.required
    elif kind in ("string", "bytes"):
        # The same text has more bytes than characters, so only what is empty is sure.
        is_empty_refused = max(rules.min_len, getattr(rules, "min_bytes", 0)) > 0 and not rules.ignore_empty
        if is_empty_refused:
            found.append("1.. chars")
        required |= is_empty_refused and field.type != F.TYPE_MESSAGE
    elif kind in ("repeated", "map"):
        least = rules.min_items if kind == "repeated" else rules.min_pairs
        if least and not rules.ignore_empty:
            found.append(f"{least}.. items")
            required = True
    elif kind in ("double", "float", "int32", "int64", "uint32", "uint64"):
        if not rules.ignore_empty and not (kind in ("double", "float") and (rules.HasField("gt") or rules.HasField("lt"))):
            least, found = bounds(rules, 1)
            required |= bool(least) and field.type != F.TYPE_MESSAGE
    if required and not field.HasField("oneof_index"):
        found.append("required")
    return found


def block(name):
    message = messages[name]
    shared = [it.oneof_index for it in message.field if it.HasField("oneof_index")]
    lines = [name]
    for field in sorted(message.field, key=lambda it: it.name):
        line = ", ".join([f"  {field.name}: {kind(field)}", *facts(field)])
        if field.HasField("oneof_index") and shared.count(field.oneof_index) > 1:
            line += f", one of {chr(ord('A') + field.oneof_index)}"
        lines.append(line)
    return "\n".join(lines)


def learn_rules(files):
    """How options of fields are read, and the option of Envoy's validation (`protoc-gen-validate`)."""
    pool, by_name, known = descriptor_pool.DescriptorPool(), {it.name: it for it in files.file}, set()

    def add(name):
        if name not in known:
            known.add(name)
            for needed in by_name[name].dependency:
                add(needed)
            pool.Add(by_name[name])

    add("validate/validate.proto")
    options = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))
    return options.FromString, pool.FindExtensionByName("validate.rules")


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
read_options, rules_of_fields = learn_rules(files)
for file in files.file:
    gather(file.package, file)
print(f"# Envoy's third API, every message that the istiod of {sys.argv[2]} can decode. Made by `envoy.py`.")
print("# How to read it: see `table.rs`. Source: Envoy's `api/` (Apache License 2.0).")
for name in reach(it for it in messages if it.startswith(NAMED)):
    print(f"\n{block(name)}")

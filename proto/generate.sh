#!/bin/sh
# Regenerates wire/gen (below the folder given, default: here) from the .proto files. The result is committed; a test compares it.
set -eu
cd "$(dirname "$0")"
out=${1:-.}
python=${PYTHON:-python3}
mkdir -p "$out"
# The include path is mapped so that generated modules import each other as wire.gen.…
"$python" -m grpc_tools.protoc -Iwire/gen=. --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" wire/gen/headrace/gateway/v1/gateway.proto

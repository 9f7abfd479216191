"""A gRPC client of another implementation, for test/planes/grpc.

It reads requests from standard input and writes answers to standard output, a
JSON object in a line each. A request is {"target", "authority", "method",
"metadata": [[name, value], ...]}, or {"reset": true}, which closes all channels.
An answer is {"code", "message", "body", "headers"}, the body in base64.
GRPC_XDS_BOOTSTRAP says who the client is and where its control plane is.
"""

import base64
import json
import sys

import grpc
import grpc.experimental

channels = {}


def channel(target, authority):
    """Returns the channel to a target, which is kept until the next reset."""
    key = (target, authority)
    if key not in channels:
        fallback = grpc.experimental.insecure_channel_credentials()
        channels[key] = grpc.secure_channel(
            target,
            grpc.xds_channel_credentials(fallback),
            options=[
                ("grpc.default_authority", authority),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
    return channels[key]


def call(request):
    """Makes a call and says what became of it."""
    method = channel(request["target"], request["authority"]).unary_unary(request["method"])
    metadata = [tuple(pair) for pair in request["metadata"]]
    try:
        body, done = method.with_call(b"", timeout=10, metadata=metadata)
    except grpc.RpcError as error:
        body, done = b"", error
    return {
        "code": done.code().name,
        "message": done.details() or "",
        "body": base64.b64encode(body).decode(),
        "headers": [[name, str(value)] for name, value in done.initial_metadata() or ()],
    }


def reset():
    """Closes all channels, and the xDS client with the last of them."""
    for open_channel in channels.values():
        open_channel.close()
    channels.clear()
    return {"code": "OK"}


def main():
    print(json.dumps({"version": grpc.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = reset() if request.get("reset") else call(request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

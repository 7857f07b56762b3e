"""The wire: generated messages and the codecs between them and values of the language."""

from wire.gen.headrace.gateway.v1 import gateway_pb2 as gateway
from wire.gen.headrace.gateway.v1 import gateway_pb2_grpc as gateway_grpc

__all__ = ["gateway", "gateway_grpc"]

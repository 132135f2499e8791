"""Networks and their weights."""

from voxplain.nets.build import NETWORKS, build_network, count_parameters, takes
from voxplain.nets.checkpoint import load_into, pack, read_weights, serialise, unpack
from voxplain.nets.matching import published_layout
from voxplain.nets.mrinet import MRINet
from voxplain.nets.record import WeightsRecord, file_sha256, read_record
from voxplain.nets.sfcn import SFCN
from voxplain.nets.slicenet import SliceNet

__all__ = [
    "MRINet",
    "NETWORKS",
    "SFCN",
    "SliceNet",
    "WeightsRecord",
    "build_network",
    "count_parameters",
    "file_sha256",
    "load_into",
    "pack",
    "published_layout",
    "read_record",
    "read_weights",
    "serialise",
    "takes",
    "unpack",
]

"""Networks and their weights."""

from voxplain.nets.build import NETWORKS, build_network, count_parameters
from voxplain.nets.checkpoint import load_into, read_weights, serialise
from voxplain.nets.mrinet import MRINet
from voxplain.nets.sfcn import SFCN
from voxplain.nets.slicenet import SliceNet

__all__ = [
    "MRINet",
    "NETWORKS",
    "SFCN",
    "SliceNet",
    "build_network",
    "count_parameters",
    "load_into",
    "read_weights",
    "serialise",
]

"""Whether a map names the voxels that the network's output rests on."""

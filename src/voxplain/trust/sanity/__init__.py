"""Whether a map depends on what the network has learnt."""

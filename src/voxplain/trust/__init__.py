"""Whether a map can be believed."""

from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
from voxplain.trust.chance import ChanceInterval, chance_interval, chance_of
from voxplain.trust.controls import TMap, edge_filter
from voxplain.trust.fidelity import (
    Changes,
    Completeness,
    Infidelity,
    completeness,
    infidelity,
    make_changes,
)
from voxplain.trust.fields import fwhm_of
from voxplain.trust.imputation import Imputation
from voxplain.trust.localisation import FWHM_MM, Localisation, localise, strength
from voxplain.trust.places import Places, find_places
from voxplain.trust.regions import RegionRemoval, region_removal
from voxplain.trust.removal import Removal, RemovalTest, removal
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.verdict import Verdict, say

__all__ = [
    "FWHM_MM",
    "Agreement",
    "ChanceInterval",
    "Changes",
    "Completeness",
    "Envelope",
    "Imputation",
    "Infidelity",
    "Localisation",
    "Places",
    "RegionRemoval",
    "Removal",
    "RemovalTest",
    "TMap",
    "Verdict",
    "agreement",
    "chance_interval",
    "chance_of",
    "completeness",
    "dice_top",
    "edge_filter",
    "find_places",
    "fwhm_of",
    "infidelity",
    "localise",
    "make_changes",
    "region_removal",
    "removal",
    "say",
    "spearman",
    "strength",
    "surrogates",
]

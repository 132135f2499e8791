"""Whether a map can be believed."""

from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
from voxplain.trust.chance import ChanceInterval, chance_interval, chance_of
from voxplain.trust.comparison import (
    Comparison,
    Invariance,
    PairExcess,
    Rivals,
    against_pairs,
    against_trainings,
    encoding_invariance,
    inverted,
)
from voxplain.trust.complexity import EntropyChange, entropy, entropy_change
from voxplain.trust.controls import EDGE_SIGMA_MM, TMap, edge_filter
from voxplain.trust.fidelity import (
    Changes,
    Completeness,
    Infidelity,
    completeness,
    infidelity,
    make_changes,
)
from voxplain.trust.fields import fwhm_of
from voxplain.trust.figures import KnownTruth, SubjectMaps
from voxplain.trust.imputation import Imputation
from voxplain.trust.judgement import judge
from voxplain.trust.localisation import FWHM_MM, Localisation, localise, strength
from voxplain.trust.meta import MetaEvaluation, TruthTracking, meta_evaluation, truth_tracking
from voxplain.trust.pattern import LogitPattern, PatternMap, RegionMeans, critical_correlation
from voxplain.trust.places import Places, find_places
from voxplain.trust.randomisation import (
    Randomisation,
    averaged,
    learned_layers,
    randomisation,
    randomised,
)
from voxplain.trust.regions import RegionRemoval, region_removal
from voxplain.trust.removal import Removal, RemovalTest, removal
from voxplain.trust.stability import Stability, icc, stability
from voxplain.trust.subjects import Retest, SplitHalf, retest, split_half
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.verdict import Verdict, say

__all__ = [
    "EDGE_SIGMA_MM",
    "FWHM_MM",
    "Agreement",
    "ChanceInterval",
    "Changes",
    "Comparison",
    "Completeness",
    "EntropyChange",
    "Envelope",
    "Imputation",
    "Infidelity",
    "Invariance",
    "KnownTruth",
    "Localisation",
    "LogitPattern",
    "MetaEvaluation",
    "PairExcess",
    "PatternMap",
    "Places",
    "Randomisation",
    "RegionMeans",
    "RegionRemoval",
    "Removal",
    "RemovalTest",
    "Retest",
    "Rivals",
    "SplitHalf",
    "Stability",
    "SubjectMaps",
    "TMap",
    "TruthTracking",
    "Verdict",
    "against_pairs",
    "against_trainings",
    "agreement",
    "averaged",
    "chance_interval",
    "chance_of",
    "completeness",
    "critical_correlation",
    "dice_top",
    "edge_filter",
    "encoding_invariance",
    "entropy",
    "entropy_change",
    "find_places",
    "fwhm_of",
    "icc",
    "infidelity",
    "inverted",
    "judge",
    "learned_layers",
    "localise",
    "make_changes",
    "meta_evaluation",
    "randomisation",
    "randomised",
    "region_removal",
    "removal",
    "retest",
    "say",
    "spearman",
    "split_half",
    "stability",
    "strength",
    "surrogates",
    "truth_tracking",
]

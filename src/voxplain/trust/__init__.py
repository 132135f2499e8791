"""Whether a map can be believed."""

from voxplain.trust.agreement import Agreement, agreement, dice_top, spearman
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
from voxplain.trust.faithfulness.fidelity import (
    Changes,
    Completeness,
    Infidelity,
    completeness,
    infidelity,
    make_changes,
)
from voxplain.trust.faithfulness.imputation import Imputation
from voxplain.trust.faithfulness.regions import RegionRemoval, region_removal
from voxplain.trust.faithfulness.removal import Removal, RemovalTest, removal
from voxplain.trust.fields import fwhm_of
from voxplain.trust.meta import MetaEvaluation, TruthTracking, meta_evaluation, truth_tracking
from voxplain.trust.pattern import LogitPattern, PatternMap, RegionMeans, critical_correlation
from voxplain.trust.sanity.complexity import EntropyChange, entropy, entropy_change
from voxplain.trust.sanity.randomisation import (
    Randomisation,
    averaged,
    learned_layers,
    randomisation,
    randomised,
)
from voxplain.trust.stability.stability import Stability, icc, stability
from voxplain.trust.stability.subjects import Retest, SplitHalf, retest, split_half
from voxplain.trust.surrogates import Envelope, surrogates
from voxplain.trust.truth.chance import ChanceInterval, chance_interval, chance_of
from voxplain.trust.truth.controls import EDGE_SIGMA_MM, TMap, edge_filter
from voxplain.trust.truth.figures import UNTRAINED, KnownTruth, SubjectMaps
from voxplain.trust.truth.judgement import judge
from voxplain.trust.truth.localisation import FWHM_MM, Localisation, localise, strength
from voxplain.trust.truth.places import Places, find_places
from voxplain.trust.truth.verdict import Verdict, say

__all__ = [
    "UNTRAINED",
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

"""Evaluation cards: what each measure of maps asks, by which formula, and how it misleads.

The page of a study and ``docs/measures.md`` are written from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["CARDS", "Card", "cards_of"]


@dataclass(frozen=True)
class Card:
    """The evaluation card of a measure; functions stand in backticks.

    Parameters
    ----------
    title, functions : str
        Its name, and what computes it in `voxplain.trust`.
    asks, formula, source, null, misleads : str
    note : str
    tests : tuple of str
        Of the table of rules, or the method, in whose figures it is shown.
    """

    title: str
    functions: str
    asks: str
    formula: str
    source: str
    null: str
    misleads: str
    note: str = ""
    tests: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What is told, and in which words."""
        return (
            ("asks", self.asks),
            ("formula", self.formula),
            ("source", self.source),
            ("null level", self.null),
            ("misleads", self.misleads),
        )


CARDS: Final[tuple[Card, ...]] = (
    Card(
        title="Average precision",
        functions="`localise`",
        asks="Do the strongest voxels of the map lie where the effect was planted?",
        formula=(
            "Mean, over voxels of the truth, of the share of the truth among those ranked as high "
            "or higher; the map is smoothed by 8 mm and made absolute"
        ),
        source="Davis and Goadrich 2006, ICML, doi:10.1145/1143844.1143874",
        null=(
            "The share of the brain that the effect fills; 95 % of random maps as smooth; an "
            "edge filter, and a t-map of the scans, which know nothing of the network"
        ),
        misleads=(
            "There is a truth for planted effects alone, and a method may find a darkening "
            "that misses a shrinking. A good figure beside an equally good edge filter says "
            "nothing of the network. The ceiling is below 1 where the effect itself is uneven"
        ),
        tests=("spike-in",),
    ),
    Card(
        title="Agreement",
        functions="`agreement`",
        asks="Do two maps have their peaks in the same places?",
        formula="Dice of the top voxels at one size; Spearman's correlation inside the brain",
        source="Clifford et al. 1989, Biometrics 45:123, for the spread of the null",
        null="95 % of surrogates; with `envelope`, of surrogates that share it",
        misleads=(
            "Without an envelope, two maps of noise that were multiplied by one scan agree "
            "nearly always. Methods of one family agree because they compute nearly the same: "
            "agreement is no sign of truth"
        ),
        note=(
            "Another way (`against_pairs`) asks whether two methods agree more on this network "
            "than on untrained ones, and needs no model of random maps: p is one over the number "
            "of networks at best."
        ),
        tests=("agreement",),
    ),
    Card(
        title="Deletion and insertion",
        functions="`removal`",
        asks="Does the network miss what the map calls important?",
        formula=(
            "Mean over shares of the brain of f(x) − f(x without the top voxels), or of "
            "f(reference with them) − f(reference); f is the logit margin"
        ),
        source="Petsiuk et al. 2018, BMVC; Samek et al. 2017, IEEE TNNLS 28:2660",
        null=(
            "95 % of surrogates of the map, of which as many voxels are removed. With 20 "
            "random maps the limit is the largest: 1 in 21"
        ),
        misleads=(
            "The reference is an image that no scanner makes. Look at `p_reference`: where "
            "the reference keeps the target (`reference_deletes` is false), the game cannot "
            "be won. Blur keeps head size, so a network that reads size never misses "
            "anything. Bright voxels cost any network more: give an envelope with the scan. A "
            "mask that only breaks the network wins too"
        ),
        tests=("deletion", "faithfulness"),
    ),
    Card(
        title="ROAD",
        functions="`removal` with `Imputation`",
        asks="The same, where removed voxels are filled in from their neighbours",
        formula=(
            "Each removed voxel is the weighted mean of its 26 neighbours in the brain "
            "(weights 1, ½, ¼ by face, edge, corner), one sparse system, solved by conjugate "
            "gradients; plus noise"
        ),
        source="Rong et al. 2022, ICML, PMLR 162:18770, in 2D",
        null="As for deletion",
        misleads=(
            "Rewards blurred maps: what is scattered is filled in well, whatever it meant. A "
            "steady effect inside a large region is filled in too. There is no image with all "
            "removed, so `empty` is the score at the largest share"
        ),
    ),
    Card(
        title="Infidelity",
        functions="`make_changes`, `infidelity`",
        asks="Does the map foretell what random changes of the scan do to the score?",
        formula=(
            "E[(I·φ − (f(x) − f(x − I)))²]; `relative` is that at the best scale of 0 or "
            "more, over E[(f(x) − f(x − I))²]"
        ),
        source="Yeh et al. 2019, NeurIPS",
        null="5th percentile of surrogates, which cost no pass; 1 is the map of zeros",
        misleads=(
            "Answers for the changes that were made: small noise asks for the gradient, "
            "replacement by a reference for a map of shares (`additive=True`). Knows nothing "
            "of whether the network is right"
        ),
    ),
    Card(
        title="Completeness",
        functions="`completeness`",
        asks="Do the shares add up to the score?",
        formula="|Σφ − (f(x) − f(reference))| over |f(x) − f(reference)|",
        source="Sundararajan et al. 2017, ICML, PMLR 70:3319",
        null="1, of a map of zeros",
        misleads=(
            "A map whose voxels were shuffled has the same gap. A check of the arithmetic, "
            "not of places"
        ),
    ),
    Card(
        title="Deletion by region",
        functions="`region_removal`",
        asks="Do the regions that the map calls important cost the most when they are taken away?",
        formula=(
            "Spearman's correlation over regions, of f(x) − f(x without the region) with the "
            "map's sum in it"
        ),
        source="After Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53",
        null="95 % of surrogates, which cost no pass",
        misleads=(
            "Large regions cost more and sum to more: `voxels` tells their sizes. Regions "
            "that stand in for each other cost nothing one by one"
        ),
    ),
    Card(
        title="Parameter randomisation",
        functions="`randomisation`",
        asks=(
            "Does the map change when what layers have learned is thrown away, from the top, "
            "or one by one?"
        ),
        formula=(
            "Spearman's correlation inside the brain of the map and that of the changed network"
        ),
        source=(
            "Adebayo et al. 2018, NeurIPS; averaged over noisy inputs by `averaged` (sMPRT): "
            "Hedström et al. 2024, arXiv 2405.02383"
        ),
        null=(
            "95 % of surrogates of the map; give an envelope with the scan, else methods that "
            "multiply by it fail for that alone"
        ),
        misleads=(
            "Noise passes. It can fail a method, and cannot praise one (Binder et al. 2023, "
            "CVPR). No comparison over the whole box and no SSIM: both see the background. "
            "Layers are taken in the order in which they were written"
        ),
        tests=("sanity",),
    ),
    Card(
        title="Complexity after randomisation",
        functions="`entropy_change`",
        asks="Are the maps of random networks more complex than this network's?",
        formula=(
            "Mean of (H(random) − H(map)) / H(map); H is the entropy of the histogram inside "
            "the brain, 100 bins"
        ),
        source="Hedström et al. 2024, arXiv 2405.02383 (eMPRT)",
        null="95 % of the changes from one random network to another",
        misleads=(
            "The histogram knows no places, and one extreme voxel empties most bins. Sparse "
            "methods look trained"
        ),
    ),
    Card(
        title="Other trainings",
        functions="`against_trainings`, `encoding_invariance`",
        asks=(
            "Does the map agree with those of networks trained on permuted labels, or not "
            "trained (it should not)? Does it stay when the same brains are written down "
            "inverted, c − x, and a network is trained on them (it should)?"
        ),
        formula=(
            "`agreement`; of the second, `kept`: the rank correlation beyond chance, as a "
            "share of that of a second training on the scans as they are"
        ),
        source="Adebayo et al. 2018; Clark et al. 2026, arXiv 2602.09238",
        null="As for agreement; the second training is the ceiling",
        misleads=(
            "A network that has learned little agrees with nothing. Compare strengths: the "
            "sign of a gradient turns with the encoding"
        ),
        tests=("null-maps", "encoding"),
    ),
    Card(
        title="Stability",
        functions="`stability`, `split_half`, `retest`",
        asks=(
            "Does the map come out the same from other folds, seeds, noisy inputs, other "
            "subjects, another session?"
        ),
        formula=(
            "Mean over pairs of Dice and Spearman; ICC(2,1) over voxels; Spearman and Brown's "
            "formula for halves; share of subjects whose own second map is the most alike"
        ),
        source="Shrout and Fleiss 1979, Psychol Bull 86:420",
        null=(
            "95 % of sets of surrogates, each map replaced by its own; for sessions, other "
            "subjects' maps and random assignments"
        ),
        misleads=(
            "A map that ignores the network is perfectly stable. Subjects share an anatomy: "
            "only `retest` takes that out. Maps of one network are more alike than those of "
            "several"
        ),
        tests=("stability", "repeats"),
    ),
    Card(
        title="Pattern",
        tests=("pattern",),
        functions="`PatternMap`, `RegionMeans`",
        asks="Which voxels, or regions, go with the logit over held-out scans?",
        formula="Cov(x_v, f) / Var(f), streamed, one scan at a time",
        source="Haufe et al. 2014, NeuroImage 87:96; Welford 1962, Technometrics 4:419",
        null=(
            "The correlation that 5 % of unrelated voxels exceed, and that which any of them "
            "exceeds in 5 % of cohorts (Bonferroni)"
        ),
        misleads=(
            "Shows what goes with the decision, also what the network does not use: head size "
            "makes a pattern of the whole brain. Families and sessions are not independent "
            "scans. Of one cohort, not of one subject"
        ),
    ),
)


def cards_of(tests: Iterable[str]) -> list[Card]:
    """Return the cards of the measures that some tests are made with, each once."""
    wanted = set(tests)
    return [card for card in CARDS if wanted & set(card.tests)]

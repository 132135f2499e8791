"""The methods, as a paper has to tell them, from what the study knows of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voxplain.report.html.sections import Code, Heading, Item, Text
from voxplain.report.pages.demo_words import listed
from voxplain.report.pages.study.claim import checklist
from voxplain.report.pages.study.shown import Shown
from voxplain.report.words.group import effect_words
from voxplain.report.words.numbers import cell
from voxplain.report.words.references import bibtex, cited
from voxplain.report.words.scores import INTERVALS
from voxplain.results.study import GroupTest, StudyFound

__all__ = ["method_keys", "methods", "methods_text"]

_SHORT = 24
_MEAN = "mean"
_SHUFFLED = (
    "p of each model is that of a permutation test of its held-out predictions, without training "
    "again, not corrected for the number of models."
)
_TESTED = {
    "voxel": "single voxels",
    "size": "cluster size",
    "mass": "cluster mass",
    "tfce": "threshold-free cluster enhancement [@smith2009]",
}


def methods(found: StudyFound, shown: Shown) -> list[Item]:
    """Write the methods, the references and the checklist."""
    text = methods_text(found)
    keys = method_keys(found)
    items: list[Item] = [
        Text(tuple(cited(paragraph) for paragraph in text)),
        Heading("References, BibTeX"),
        Code(bibtex(keys, found.methods, found.versions.get("voxplain", ""))),
        Heading("Checklist for artificial intelligence in medical imaging (CLAIM)"),
        *checklist(found),
    ]
    return items


def methods_text(found: StudyFound) -> list[str]:
    """Write a paragraph for each part that was run; references stand as ``[@key]``."""
    parts = (_data(found), _training(found), _maps(found), _group(found), _trust(found))
    out = [part for part in parts if part]
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    if found.atlas:
        drawn = any(value.ranks for one in found.regions for value in one.values)
        out.append(
            f"Regions. Maps were summed up by the regions of {found.atlas} [@{found.atlas}]; "
            "intervals of their means are Student's, over participants"
            + "; those of ranks are of bootstrap draws of the participants" * drawn
            + "."
        )
    if found.means and not found.off_cortex:
        out.append(
            "Surfaces. Mean maps were read between the pial and the white surface of fsaverage5 "
            "[@fischl1999], brought from MNI305 to MNI152, and averaged over the depth."
        )
    out.append(f"All was done with voxplain [@voxplain] ({versions or 'version unknown'}).")
    return out


def method_keys(found: StudyFound) -> list[str]:
    """Name the references of the text, each once, in the order of the text."""
    keys: list[str] = []
    for paragraph in methods_text(found):
        for part in paragraph.split("[@")[1:]:
            keys += part.partition("]")[0].split(";")
    return list(dict.fromkeys(key.strip().removeprefix("@") for key in keys))


def _data(found: StudyFound) -> str:
    cohort = found.cohort
    if cohort is None:
        return ""
    classes = ", ".join(f"{count} {name}" for name, count in cohort.classes.items())
    people = cohort.told.get("subjects", cohort.scans)
    listing = f" ({classes})" if classes else ""
    if not cohort.told:
        made = f" as follows: {cohort.recipe}" if cohort.recipe else ""
        return f"Data. {cohort.scans} phantom scans{listing} were made{made}; grid: {cohort.grid}."
    who = f"{cohort.scans} T1-weighted scans of {people} participants{listing}"
    out = len(cohort.exclusions)
    left = f"; {out} {'was' if out == 1 else 'were'} left out" if out else ""
    how = f"{cohort.recipe}; grid: {cohort.grid}"
    return f"Data. {who} were used{left}. They were prepared as follows: {how}."


def _training(found: StudyFound) -> str:
    fit = found.fit
    if fit is None:
        return ""
    said = []
    for name, model in fit.models.items():
        if model.network:
            one = model.network
            arithmetic = f", in {one.arithmetic_words}" if one.arithmetic_words else ""
            said.append(f"{name} ({one.kind}, {one.parameters:,} parameters{arithmetic})")
    others = [name for name, model in fit.models.items() if not model.network]
    what = (
        f"to tell {listed(fit.class_names)} apart"
        if fit.class_names
        else f"to predict {fit.outcome}"
    )
    repeats = f", repeated {fit.repeats} times" * (fit.repeats > 1)
    seed = fit.options.get("seed", "unknown")
    beside = f" Beside them stand {listed(others)}, on the same folds." if others else ""
    alone = ""
    if fit.confounds:
        alone = f" Linear models of {listed(fit.confounds.columns)} alone served as controls."
    # The same words as on the page of the fit: how intervals are made has one place.
    intervals = INTERVALS.replace("(Nadeau and Bengio 2003)", "[@nadeau2003]").replace(
        "(Smyth 2004)", "[@smyth2004]"
    )
    return (
        f"Training. {listed(said)} {'were' if len(said) > 1 else 'was'} trained {what}, in a "
        f"cross-validation of {fit.folds} folds{repeats}. {fit.grouping} Schedule: {fit.schedule}; "
        f"seed {seed}.{beside}{alone} {intervals} {_SHUFFLED}"
    )


def _maps(found: StudyFound) -> str:
    if not found.means:
        return ""
    words = {"own": "its own class", "predicted": "the predicted class", "": "its class"}
    rules = dict.fromkeys(one.rule for one in found.means)
    target = " and for ".join(words.get(rule, rule) for rule in rules)
    each = []
    for one in found.methods.values():
        options = _options(one.options)
        each.append(f"{one.label} [@{one.name}]" + (f" ({options})" if options else ""))
    seed = found.explain.get("seed", "unknown")
    by = "the network of the fold that had held it out"
    if (repeats := (found.explain.get("options") or {}).get("repeats", 1)) > 1:
        by = (
            f"{repeats} networks, one of each repeat, that had not seen it, whose maps are averaged"
        )
    return (
        f"Maps. Each scan was explained by {by}, for "
        f"{target}, by {'; '.join(each)}; seed {seed}. Maps are signed and raw; mean maps are "
        "averages over the scans of a class."
    )


def _options(options: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {cell(value) if isinstance(value, bool) else value}"
        for name, value in options.items()
        if isinstance(value, int | float) or (isinstance(value, str) and len(value) <= _SHORT)
    )


def _group(found: StudyFound) -> str:
    if not found.tests:
        return ""
    return "Group statistics. " + " ".join(_once(_tested(test) for test in found.tests))


def _tested(test: GroupTest) -> str:
    told, asked = test.told, test.request
    options = asked.get("test", {})
    statistics = listed(_TESTED.get(name, name) for name in told["found"])
    smoothed = asked.get("fwhm_mm") or 0
    alone = (asked.get("only") or "").replace("=", " ")
    only = f" of {alone} alone" if alone else ""
    what = f"The model was {asked.get('model', 'unknown')!r}, tested for {effect_words(test)}{only}"
    count = told["permutations"]
    signs = told["blocks"].replace("change places", "change sign")
    if told["null"] != "permutation":
        how = f"against {count} studies whose networks learnt nothing"
    elif told["effect"] == _MEAN:
        how = f"by {count} changes of the maps' signs [@winkler2014]; {signs}"
    else:
        how = (
            f"by {count} arrangements of the scans, the nuisance taken out after Freedman and Lane "
            f"[@freedman1983; @winkler2014]; {told['blocks']}"
        )
    how += "; p by a Gamma tail of their maxima" * bool(options.get("fast"))
    width = f"smoothed by {smoothed:g} mm" if smoothed else "not smoothed"
    cluster = options.get("cluster_p")
    formed = f"; clusters were formed at an uncorrected p of {cluster:g}" if cluster else ""
    return (
        f"{what} ({told['scans']} scans; maps {width}), {how}. p is corrected for all voxels and "
        f"both directions by the largest of {statistics}{formed}."
    )


def _once(sentences: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sentences))


def _trust(found: StudyFound) -> str:
    trust = found.trust
    if trust is None:
        return ""
    tests = [one.test for one in trust.rules]
    return (
        f"Trust. Maps were judged by rules of edition {trust.edition} of voxplain, within a budget "
        f"of {trust.budget}, seed {trust.options.get('seed', 'unknown')}; tests: "
        f"{', '.join(tests)}."
    )

"""What ``voxplain cohort`` shows when a cohort is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["tell_cohort"]


def tell_cohort(console: Console, result: dict[str, Any]) -> None:
    """Say who takes part, who does not, what looks wrong, and what tells the classes apart."""
    from rich.table import Table

    classes = ", ".join(f"{n} {name}" for name, n in result["classes"].items())
    scans = f"{result['scans']} scans of " if result["scans"] != result["subjects"] else ""
    console.print(f"{scans}{result['subjects']} participants: {classes}.", highlight=False)
    if result["excluded"]:
        reasons = "; ".join(f"{n} × {reason}" for reason, n in result["excluded"].items())
        console.print(f"Left out, see exclusions.tsv: {reasons}.", highlight=False, soft_wrap=True)
    for doubt in result["doubts"]:
        console.print(f"! {doubt['sentence']}", highlight=False, markup=False, soft_wrap=True)
    if result["outliers"]:
        console.print(
            f"Scans that stand out, see cohort.html: {', '.join(result['outliers'])}.",
            highlight=False,
            soft_wrap=True,
        )
    if not result["balance"]:
        return
    shown = Table(title="What tells the classes apart without a network")
    for name in ("column", "AUC", "95 % interval", *result["classes"]):
        shown.add_column(name, justify="left" if name == "column" else "right")
    for one in result["balance"]:
        low, high = one["interval"]
        shown.add_row(
            one["name"], f"{one['auc']:.3f}", f"{low:.2f} to {high:.2f}", *one["by_class"].values()
        )
    console.print(shown)
    for warning in result["warnings"]:
        console.print(f"• {warning}", highlight=False, soft_wrap=True)

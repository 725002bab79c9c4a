"""From which share of its blocks on an alignment is trusted, and from which gain on an image is moved at
all: what the training pairs of roadscene say.

    python benchmarks/align thresholds --cases align.jsonl

The pairs are none of those that the tables count: every tenth picture is theirs. A pair that was moved
and came back within 3 px is right; one that ended beyond 5 px, a pair of two scenes, and a scene with
itself upside down are wrong. The threshold is one per cent above all wrong ones, rounded up: a wrong move is
worse than none. Of pairs at rest, and of others that were moved by a few pixels, the gains are told.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_gifnet.alignment.judge import LEAST_BLOCKS, LEAST_SHARE

RIGHT, WRONG = 3.0, 5.0
"""Pixels."""

SETS = ("training", "training_more", "training_wrong")

GAINS = {"training_still": "at rest", "training_small": "moved by a few pixels"}
"""The sets that tell from which gain on an image is to be moved."""


def shares_of(done: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of right and of wrong alignments that have blocks enough to be judged by."""
    asked = [each for each in done if each.get("blocks", 0) >= LEAST_BLOCKS[2]]
    right = [each["share"] for each in asked if (each["distance"] or np.inf) <= RIGHT]
    wrong = [
        each["share"] for each in asked if each["distance"] is None or each["distance"] > WRONG
    ]
    return np.sort(right), np.sort(wrong)


def threshold(wrong: np.ndarray) -> float:
    """Return the share from which on an alignment is to be trusted."""
    return math.ceil(100 * (float(wrong.max()) + 0.01) - 1e-9) / 100


def report_gains(name: str, done: list[dict[str, Any]]) -> str:
    """Return in a line the gains of pairs that are trusted and would be moved by more than 2 pixels."""
    gains = sorted(r["gain"] for r in done if r["share"] >= LEAST_SHARE[2] and r["moved"] > 2)
    return (
        f"{GAINS[name]}: {len(gains)} of {len(done)} would be moved by more than 2 px, for "
        f"{', '.join(f'{each:.1%}' for each in gains)}"
    )


def report(done: list[dict[str, Any]]) -> list[str]:
    """Return in lines what the training pairs say."""
    right, wrong = shares_of(done)
    chosen = threshold(wrong)
    return [
        f"right: {len(right)} pairs, shares {', '.join(f'{each:.2f}' for each in right[:5])} at least, "
        f"{np.median(right):.2f} in the middle",
        f"wrong: {len(wrong)} pairs, shares {', '.join(f'{each:.2f}' for each in wrong[-5:])} at most",
        f"threshold: {chosen:.2f}; trusted from there on: {np.mean(right >= chosen):.0%} of the right "
        f"ones, {int((wrong >= chosen).sum())} of the wrong ones; in use: {LEAST_SHARE[2]:.2f}",
    ]

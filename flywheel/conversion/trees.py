"""The trees of an ensemble as flat arrays, whichever class of scikit-learn they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tree:
    """One tree. Node 0 is its root; a row goes left where its feature is at most the threshold.

    Attributes
    ----------
    left, right
        Children of each node; of no meaning at a leaf.
    missing_left
        Where NaN goes.
    value
        What a leaf adds to output ``target``; of no meaning at other nodes.
    """

    left: Ints
    right: Ints
    is_leaf: Flags
    feature: Ints
    threshold: Floats
    missing_left: Flags
    value: Floats
    target: int

    @classmethod
    def of_gradient_boosting(cls, predictor: Any, target: int) -> Tree:
        """Read a ``TreePredictor`` of histogram gradient boosting.

        Raises
        ------
        ValueError
            It splits by sets of categories.
        """
        nodes = predictor.nodes
        if nodes["is_categorical"].any():
            raise ValueError("a tree splits by a set of categories")
        return cls(
            left=nodes["left"].astype(np.int64),
            right=nodes["right"].astype(np.int64),
            is_leaf=nodes["is_leaf"].astype(np.bool_),
            feature=nodes["feature_idx"].astype(np.int64),
            threshold=nodes["num_threshold"].astype(np.float64),
            missing_left=nodes["missing_go_to_left"].astype(np.bool_),
            value=nodes["value"].astype(np.float64),
            target=target,
        )

    @classmethod
    def of_forest(cls, tree: Any, value: Floats, features: Ints) -> Tree:
        """Read a ``sklearn.tree._tree.Tree`` that was fitted on the columns ``features``; ``value``: one a node."""
        is_leaf = tree.children_left == -1
        return cls(
            left=tree.children_left.astype(np.int64),
            right=tree.children_right.astype(np.int64),
            is_leaf=is_leaf,
            feature=features[np.where(is_leaf, 0, tree.feature)].astype(np.int64),
            threshold=tree.threshold.astype(np.float64),
            missing_left=tree.missing_go_to_left.astype(np.bool_),
            value=value.astype(np.float64),
            target=0,
        )

    @classmethod
    def constant(cls, value: float, target: int) -> Tree:
        """A tree that adds the same to every row."""
        zero, one = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.bool_)
        return cls(zero, zero, one, zero, np.zeros(1), one, np.array([value]), target)


@dataclass(frozen=True)
class Ensemble:
    """Trees whose values are summed, in their order: inner nodes and leaves are numbered through all of them.

    ``left`` and ``right`` are numbers of leaves where ``left_is_leaf`` and ``right_is_leaf`` say so, else of nodes.
    ``rounds``: rows are rounded to single precision before they are compared with the thresholds.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    missing_left: Flags
    left: Ints
    left_is_leaf: Flags
    right: Ints
    right_is_leaf: Flags
    leaf_value: Floats
    leaf_target: Ints
    targets: int
    rounds: bool

    @classmethod
    def of(cls, trees: Iterable[Tree], targets: int, *, rounds: bool) -> Ensemble:
        """Number the nodes of all trees."""
        parts: list[Ensemble] = []
        nodes = leaves = 0
        for tree in trees:
            part = _numbered(tree if not tree.is_leaf[0] else _with_a_node(tree), nodes, leaves)
            nodes, leaves = nodes + part.feature.size, leaves + part.leaf_value.size
            parts.append(part)
        return cls(
            roots=np.concatenate([part.roots for part in parts]),
            feature=np.concatenate([part.feature for part in parts]),
            threshold=np.concatenate([part.threshold for part in parts]),
            missing_left=np.concatenate([part.missing_left for part in parts]),
            left=np.concatenate([part.left for part in parts]),
            left_is_leaf=np.concatenate([part.left_is_leaf for part in parts]),
            right=np.concatenate([part.right for part in parts]),
            right_is_leaf=np.concatenate([part.right_is_leaf for part in parts]),
            leaf_value=np.concatenate([part.leaf_value for part in parts]),
            leaf_target=np.concatenate([part.leaf_target for part in parts]),
            targets=targets,
            rounds=rounds,
        )


def _numbered(tree: Tree, first_node: int, first_leaf: int) -> Ensemble:
    inner = ~tree.is_leaf
    number = np.where(tree.is_leaf, first_leaf + np.cumsum(tree.is_leaf), first_node + np.cumsum(inner)) - 1
    left, right = tree.left[inner], tree.right[inner]
    return Ensemble(
        roots=np.array([first_node]),
        feature=tree.feature[inner],
        threshold=tree.threshold[inner],
        missing_left=tree.missing_left[inner],
        left=number[left],
        left_is_leaf=tree.is_leaf[left],
        right=number[right],
        right_is_leaf=tree.is_leaf[right],
        leaf_value=tree.value[tree.is_leaf],
        leaf_target=np.full(int(tree.is_leaf.sum()), tree.target, dtype=np.int64),
        targets=1,
        rounds=False,
    )


def _with_a_node(leaf: Tree) -> Tree:
    """ONNX knows no tree that is a leaf: a node above it asks about nothing."""
    return Tree(
        left=np.array([1, 0]),
        right=np.array([1, 0]),
        is_leaf=np.array([False, True]),
        feature=np.zeros(2, dtype=np.int64),
        threshold=np.zeros(2),
        missing_left=np.ones(2, dtype=np.bool_),
        value=np.append(0.0, leaf.value[0]),
        target=leaf.target,
    )

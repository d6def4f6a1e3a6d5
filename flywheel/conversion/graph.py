"""An ONNX file that sums the trees of an ensemble, in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from flywheel.conversion.trees import Ensemble

_TREES = "ai.onnx.ml"
# TreeEnsemble is new in 5; the operators before it answer in single precision.
_OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(_TREES, 5)]
_IR_VERSION = 10
_SUM, _NO_TRANSFORM, _AT_MOST = 1, 0, 0


def to_onnx(ensemble: Ensemble, width: int) -> bytes:
    """Return the file of a model that takes ``features`` ``[n, width]`` and answers ``sums`` ``[n, targets]``."""
    rounded = [
        helper.make_node("Cast", ["features"], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["rounded"], ["taken"], to=TensorProto.DOUBLE),
    ]
    whole = [helper.make_node("Identity", ["features"], ["taken"])]
    graph = helper.make_graph(
        [*(rounded if ensemble.rounds else whole), _trees(ensemble)],
        "flywheel",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, ["rows", width])],
        [helper.make_tensor_value_info("sums", TensorProto.DOUBLE, ["rows", ensemble.targets])],
    )
    model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=_IR_VERSION, producer_name="flywheel")
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _trees(ensemble: Ensemble) -> NodeProto:
    node = helper.make_node("TreeEnsemble", ["taken"], ["sums"], domain=_TREES)
    node.attribute.extend(
        [
            _integers("tree_roots", ensemble.roots),
            _integers("nodes_featureids", ensemble.feature),
            _tensor("nodes_splits", ensemble.threshold),
            _tensor("nodes_modes", np.full(ensemble.feature.size, _AT_MOST, dtype=np.uint8)),
            _integers("nodes_missing_value_tracks_true", ensemble.missing_left),
            _integers("nodes_truenodeids", ensemble.left),
            _integers("nodes_trueleafs", ensemble.left_is_leaf),
            _integers("nodes_falsenodeids", ensemble.right),
            _integers("nodes_falseleafs", ensemble.right_is_leaf),
            _integers("leaf_targetids", ensemble.leaf_target),
            _tensor("leaf_weights", ensemble.leaf_value),
            helper.make_attribute("n_targets", ensemble.targets),
            helper.make_attribute("aggregate_function", _SUM),
            helper.make_attribute("post_transform", _NO_TRANSFORM),
        ]
    )
    return node


def _integers(name: str, values: npt.NDArray[Any]) -> AttributeProto:
    # helper.make_attribute looks at each number of a list, which takes seconds for large ensembles.
    return AttributeProto(name=name, type=AttributeProto.INTS, ints=values.astype(np.int64).tolist())


def _tensor(name: str, values: npt.NDArray[Any]) -> AttributeProto:
    return helper.make_attribute(name, numpy_helper.from_array(values, name))

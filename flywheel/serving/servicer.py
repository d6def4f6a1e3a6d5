# ruff: noqa: N802  # the methods have the protocol's names
"""The calls of ``inference.GRPCInferenceService`` (Open Inference Protocol v2)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceServicer

from flywheel.errors import FlywheelError, NotFoundError, TamperedModelError, TransientError
from flywheel.inference.model_info import TensorInfo
from flywheel.registry.version import RegisteredModel
from flywheel.serving.models import Models
from flywheel.serving.requests import read_matrix, write_response
from flywheel.serving.scoring import input_tensor, output_tensors
from flywheel.serving.tokens import Refusals

_log = logging.getLogger("flywheel.serving")


class InferenceServicer(GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated without types
    """Answers from the models that are loaded."""

    def __init__(self, models: Models, refusals: Refusals) -> None:
        self._models = models
        self._refusals = refusals

    def ServerLive(self, request: Any, context: grpc.ServicerContext) -> Any:
        return pb.ServerLiveResponse(live=True)

    def ServerReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        return pb.ServerReadyResponse(ready=True)

    def ServerMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The protocol has no place for counts; an extension's name is text that every client can read.
        extensions = ["model_repository", f"refused_requests:{self._refusals.total}"]
        return pb.ServerMetadataResponse(name="flywheel", version=version("flywheel-batch"), extensions=extensions)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            self._models.get(request.name, request.version)
        except FlywheelError:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _statuses(context):
            served = self._models.get(request.name, request.version)
            registered = served.registered
            return pb.ModelMetadataResponse(
                name=request.name,
                versions=[str(number) for number in self._versions(registered)],
                platform=f"{served.scorer.runtime}_{registered.card.algorithm}",
                inputs=[_described(input_tensor(registered.card))],
                outputs=[_described(tensor) for tensor in output_tensors(registered.card)],
            )

    def _versions(self, registered: RegisteredModel) -> list[int]:
        """All versions that can be asked for; while the registry can't be read, the one that is loaded."""
        try:
            return [each.version for each in self._models.registry.versions(registered.model_id)]
        except TransientError:
            return [registered.version]

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _statuses(context):
            served = self._models.get(request.model_name, request.model_version)
            outputs = served.scorer.score(read_matrix(request, served.registered))
            return write_response(request, served.registered, outputs)

    def RepositoryIndex(self, request: Any, context: grpc.ServicerContext) -> Any:
        registry = self._models.registry
        with _statuses(context):
            listed = [self._indexed(each) for name in registry.model_ids() for each in registry.versions(name)]
        return pb.RepositoryIndexResponse(
            models=[each for each in listed if each.state == "READY" or not request.ready]
        )

    def RepositoryModelLoad(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _statuses(context):
            self._models.load(request.model_name)
        return pb.RepositoryModelLoadResponse()

    def RepositoryModelUnload(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _statuses(context):
            self._models.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()

    def _indexed(self, registered: RegisteredModel) -> Any:
        name, number = registered.model_id, registered.version
        if self._models.is_loaded(name, number):
            return pb.RepositoryIndexResponse.ModelIndex(
                name=name, version=str(number), state="READY", reason=registered.status
            )
        reason = "unloaded" if self._models.is_unloaded(name) else f"{registered.status}; loaded when asked for"
        return pb.RepositoryIndexResponse.ModelIndex(name=name, version=str(number), state="UNAVAILABLE", reason=reason)


@contextmanager
def _statuses(context: grpc.ServicerContext) -> Iterator[None]:
    """Answer errors with the status that tells the caller whose fault they are."""
    try:
        yield
    except NotFoundError as error:
        context.abort(grpc.StatusCode.NOT_FOUND, error.what)
    except TamperedModelError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except TransientError as error:  # clients ask again
        context.abort(grpc.StatusCode.UNAVAILABLE, error.what)
    except ValueError as error:  # the request's own, or the estimator's about the values in it
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except Exception as error:
        _log.exception("a request failed")
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _described(tensor: TensorInfo) -> Any:
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)

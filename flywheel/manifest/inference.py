"""The ``ml-inference`` stage: which model answers, how long it may take, and what happens when it does not."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flywheel.manifest.fields import MOST, Column, Endpoint, Identifier, Name, Spec
from flywheel.manifest.jsonpath import JsonPath

Fallback = Literal["passthrough", "return_null", "use_default", "error", "use_last_known", "send_to_dlq"]


class CircuitBreaker(Spec):
    """Stops calling an endpoint that keeps failing; its state survives the process."""

    failure_threshold: int = Field(default=5, ge=1, le=MOST, description="Failures in a row that open the circuit")
    reset_timeout_seconds: float = Field(default=30, gt=0, description="Seconds until a probe is let through")
    half_open_requests: int = Field(default=1, ge=1, le=MOST, description="Probes allowed at once while half open")


class OutputField(Spec):
    """Where a field of the prediction comes from, for a server whose tensors have other names."""

    tensor: str = Field(description="Name of the server's output tensor")
    index: int | None = Field(default=None, ge=0, le=MOST, description="Column of a two-dimensional tensor")


class InferenceConfig(Spec):
    model_endpoint: Endpoint = Field(
        pattern=r"^[A-Za-z0-9._-]+(:\d{1,5})?$",
        description="host:port of an OIP v2 gRPC server, or the name of a ModelServer",
    )
    model_id: Name = Field(description="The model's name, here and on the server")
    input_features: list[str] = Field(min_length=1, description="What the model is given, in its order")
    output_field: Column = Field(default="prediction", description="The column that holds the prediction, a struct")
    outputs: dict[Identifier, OutputField] | None = Field(
        default=None, min_length=1, description="The prediction's fields; default: those of the training task"
    )
    timeout_ms: int = Field(default=1000, ge=1, le=600_000, description="Deadline of one request, in milliseconds")
    batch_size: int = Field(default=1024, ge=1, le=1_000_000, description="Rows in one request")
    max_in_flight: int = Field(default=4, ge=1, le=64, description="Requests in flight at once")
    max_retries: int = Field(default=2, ge=0, le=4, description="gRPC's own retries of an unavailable server")
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    fallback: Fallback = Field(default="error", description="What becomes of rows that the server gave no answer for")
    default_prediction: dict[str, Any] | None = Field(default=None, description="What `use_default` answers")
    entity_key: JsonPath | None = Field(default=None, description="Whose last prediction `use_last_known` repeats")

    @model_validator(mode="after")
    def _default_only_for_use_default(self) -> Self:
        if (self.fallback == "use_default") != (self.default_prediction is not None):
            raise ValueError("`fallback: use_default` and `default_prediction` need each other")
        return self

"""The data-quality gate: great_expectations over the training rows, with its report as a page of Data Docs.

Importing great_expectations takes seconds, so it is imported on use, and only by what exports.
"""

from __future__ import annotations

import gc
import importlib
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flywheel.export.checks import Check, checked_columns, checks_of
from flywheel.manifest.pipeline import Pipeline

_EXAMPLES = 3


@dataclass(frozen=True)
class GateFailure:
    """A check that the rows did not pass.

    Attributes
    ----------
    unexpected
        Rows that broke it; None where it is about the whole table, or could not be evaluated.
    found
        What was found instead, with a few of the values.
    """

    check: Check
    unexpected: int | None
    found: str

    def __str__(self) -> str:
        return f"{self.check}: {self.found}"


@dataclass(frozen=True)
class GateReport:
    """What the gate found: how many checks it made, which failed, and the Data Docs page."""

    checks: int
    failures: tuple[GateFailure, ...]
    html: str

    @property
    def passed(self) -> bool:
        return not self.failures


def check_rows(rows: pl.DataFrame, pipeline: Pipeline) -> GateReport:
    """Check training rows against what the manifest promises of them.

    A check that cannot be evaluated counts as failed, and says so.
    """
    checks = checks_of(pipeline)
    with warnings.catch_warnings():
        # Deprecations inside great_expectations, which nobody here can do anything about.
        warnings.simplefilter("ignore")
        import_great_expectations()
        result = _validate(checked_columns(rows, pipeline), checks, pipeline.name)
        html = _render(result)
    failed = (one for one in result.results if not one.success)
    failures = [_failure(checks[one.expectation_config.meta["check"]], one) for one in failed]
    return GateReport(len(checks), tuple(sorted(failures, key=lambda failure: checks.index(failure.check))), html)


def import_great_expectations() -> Any:
    """Import great_expectations, with its usage reports switched off.

    Collecting garbage while thousands of lasting objects are made takes a sixth of the import's time, so it waits.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    collecting = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module("great_expectations")
    finally:
        if collecting:
            gc.enable()


def _validate(rows: pl.DataFrame, checks: Sequence[Check], name: str) -> Any:
    gx = import_great_expectations()
    types: Any = importlib.import_module("great_expectations.data_context.types.base")
    in_memory = types.DataContextConfig(
        store_backend_defaults=types.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=types.ProgressBarsConfig(globally=False),
    )
    context = gx.get_context(mode="ephemeral", project_config=in_memory)
    asset = context.data_sources.add_pandas(name).add_dataframe_asset("training rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows.to_pandas()})
    suite = gx.ExpectationSuite(name=name, expectations=[_expectation(check, i) for i, check in enumerate(checks)])
    return batch.validate(suite, result_format={"result_format": "BASIC", "partial_unexpected_count": _EXAMPLES})


def _expectation(check: Check, index: int) -> Any:
    """Return the expectation of a check; its ``meta`` leads back, since results come in an order of their own."""
    gxe: Any = importlib.import_module("great_expectations.expectations")
    meta = {"check": index}
    if check.kind == "row_count":
        return gxe.ExpectTableRowCountToBeBetween(min_value=check.low, meta=meta)
    if check.kind == "not_null":
        return gxe.ExpectColumnValuesToNotBeNull(column=check.column, meta=meta)
    if check.kind == "unique":
        return gxe.ExpectColumnValuesToBeUnique(column=check.column, meta=meta)
    if check.kind == "in_set":
        return gxe.ExpectColumnValuesToBeInSet(column=check.column, value_set=list(check.values), meta=meta)
    return gxe.ExpectColumnValuesToBeBetween(
        column=check.column, min_value=check.low, max_value=check.high, strict_min=check.open_low, meta=meta
    )


def _render(result: Any) -> str:
    renderer = importlib.import_module("great_expectations.render.renderer").ValidationResultsPageRenderer()
    view = importlib.import_module("great_expectations.render.view").DefaultJinjaPageView()
    return str(view.render(renderer.render(result)))


def _failure(check: Check, outcome: Any) -> GateFailure:
    raised = _exception(outcome.exception_info)
    if raised:
        return GateFailure(check, None, f"could not be evaluated: {raised}")
    found: dict[str, Any] = outcome.result
    if "unexpected_count" not in found:
        return GateFailure(check, None, f"found {found.get('observed_value')}")
    count = found["unexpected_count"]
    if check.kind == "not_null":
        return GateFailure(check, count, f"{count} of {found['element_count']} rows")
    values = ", ".join(dict.fromkeys(repr(value) for value in found["partial_unexpected_list"]))
    return GateFailure(check, count, f"{count} of {found['element_count']} rows, e.g. {values}")


def _exception(info: dict[str, Any] | None) -> str:
    """Return the message of an exception inside great_expectations, which nests them by metric."""
    entries = [info, *info.values()] if info else []
    raised = (entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception"))
    return next((str(entry.get("exception_message")) for entry in raised), "")

"""What a flow connects to, as Prefect blocks: the workspace, sources, sinks, model servers and storages."""

from blocks.connections import FlywheelModelServer, FlywheelSink, FlywheelSource, FlywheelStorage
from blocks.workspace import FlywheelWorkspace

ALL = (FlywheelWorkspace, FlywheelSource, FlywheelSink, FlywheelModelServer, FlywheelStorage)

__all__ = [
    "ALL",
    "FlywheelModelServer",
    "FlywheelSink",
    "FlywheelSource",
    "FlywheelStorage",
    "FlywheelWorkspace",
]

"""Names that are fixed across deployments. Importing this starts nothing, and does not read Prefect's settings."""

WORK_POOL = "flywheel"
# What every run of a deployment bears, and no other run on the server.
TAG = "flywheel"
# The automations that `init` makes.
SILENT = "crash Flywheel runs that fell silent"
NEVER_BEGAN = "crash Flywheel runs that never began"

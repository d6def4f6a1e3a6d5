"""Names that are fixed across deployments. Importing this starts nothing, and does not read Prefect's settings."""

WORK_POOL = "flywheel"

"""What makes Prefect deployments from manifests, and the bundled pipelines under ``pipelines/``."""

"""The steps that flows are made of: retries, timeouts, artifacts and events around one engine call each."""

"""Statements, one a file; ``flywheel.lake.sql`` reads them. ``migrations/`` holds the metadata tables' steps."""

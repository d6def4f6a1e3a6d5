"""Runs the migrations on the connection that ``flywheel.metadata.database`` hands over."""

from alembic import context

from flywheel.metadata.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table="flywheel_migration",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()

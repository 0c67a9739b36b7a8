"""Run by Alembic: migrates over the connection that `ticklane.storage.migrate` hands in."""

from alembic import context

from ticklane.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
